/** How the command ends. */
export const ExitCode = { Held: 0, Lost: 1, Usage: 2, NoBoard: 3, BugCheck: 70 } as const

/** The exit code for an error, by its name: the classes are not loaded for a command that needs no machine. */
export function exitCodeOf(error: unknown): number {
  const { name, code } = error as { name?: string; code?: string }
  if (name === 'BugCheckError') return ExitCode.BugCheck
  if (name === 'LinkError' || code === 'EACCES' || code === 'ENOENT' || code === 'EPERM') return ExitCode.NoBoard
  return name === 'UsageError' || name === 'LoadError' ? ExitCode.Usage : ExitCode.Lost
}
