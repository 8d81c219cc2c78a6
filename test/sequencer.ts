import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** These begin first, for they take the longest: all others run beside them. */
const LONGEST = ['test/lab/usb.test.ts', 'test/machine/reboot.test.ts']

const rankOf = ({ moduleId }: TestSpecification): number => {
  const index = LONGEST.findIndex((name) => moduleId.endsWith(name))
  return index < 0 ? LONGEST.length : index
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((left, right) => rankOf(left) - rankOf(right))
  }
}
