import { expect, test } from 'vitest'
import { adcClass } from '../../../classes/adc.ts'
import { i2cClass } from '../../../classes/i2c.ts'
import { bridgePlan } from '../../../wire/bridge/plan.ts'
import { layoutOf } from '../seen.ts'

test('a bridge is planned from the layouts of the devices, in their order', () => {
  const { devices, byteFifos, wordFifos } = bridgePlan([layoutOf(i2cClass), layoutOf(adcClass)])
  expect(devices).toEqual([
    { class: 'i2c', version: i2cClass.version, lines: i2cClass.lines.length },
    { class: 'adc', version: adcClass.version, lines: adcClass.lines.length },
  ])
  expect(byteFifos).toEqual([{ device: 0, offset: i2cClass.registers.find(({ name }) => name === 'DATA')?.offset }])
  expect(wordFifos).toEqual([{ device: 1, offset: adcClass.registers.find(({ name }) => name === 'DATA')?.offset }])
})
