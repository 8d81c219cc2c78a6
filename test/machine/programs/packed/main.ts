// A user's program: the same driver on one processor and on two.
import { boot } from 'dirql'

const driver = new URL('./driver.ts', import.meta.url)

for (const processors of [1, 2]) {
  await using machine = await boot({ processors })
  const name = await machine.load(driver)
  const runs = Array.from({ length: processors }, (_, number) => machine.run(driver, 'count', 1000, number))
  console.log(JSON.stringify({ processors, name, runs: await Promise.all(runs) }))
  await machine.unload(name)
}
