import type { Reporter, TestModule } from 'vitest/node'

/** Ends a run with one plain line that CI reads: `N passed, N failed`, and `, N skipped` where there are any. */
export class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state] += 1
      // a file or a hook that threw has no test to carry the failure
      if (module.errors().length > 0) count.failed += 1
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) count.failed += 1
    }
    count.failed += unhandledErrors.length + count.pending
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : ''
    console.log(`${count.passed} passed, ${count.failed} failed${skipped}`)
  }
}
