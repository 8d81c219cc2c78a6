/** Which thread of the host a processor is. */
import { threadNumber } from '../cores.ts'

export const numberOf = (): number => threadNumber()
