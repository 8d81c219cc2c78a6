/** Whether this process lets code be made from strings (`--disallow-code-generation-from-strings` forbids it). */

let allowed: boolean | undefined

export function generates(): boolean {
  return (allowed ??= tries())
}

function tries(): boolean {
  try {
    new Function('')
    return true
  } catch {
    return false
  }
}
