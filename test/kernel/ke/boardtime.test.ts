import { expect, test } from 'vitest'
import { IoConnectInterrupt } from '../../../kernel/io/interrupt.ts'
import { boardTime, Latched, vectorOf } from '../../../kernel/ke/interrupt.ts'
import type { KINTERRUPT } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql } from '../../../kernel/ke/level.ts'
import { write32 } from '../../../kernel/mm/access.ts'
import { Line } from '../../../kernel/ports/device.ts'
import { interrupt, makeBoard, makeLine } from './board.ts'
import { onMachine } from './machine.ts'

test('boardTime tells an ISR when its frame was sent, and afterwards when the newest was', async () => {
  const seen = await onMachine(() => {
    const times: number[] = []
    const box: { value: KINTERRUPT | null } = { value: null }
    const Vector = vectorOf(5, 0)
    IoConnectInterrupt({
      InterruptObject: box,
      ServiceRoutine: (Interrupt: KINTERRUPT) => times.push(boardTime(Interrupt)) > 0,
      ServiceContext: null,
      SpinLock: null,
      Vector,
      Irql: 5,
      SynchronizeIrql: 5,
      InterruptMode: Latched,
      ShareVector: false,
      ProcessorEnableMask: 1,
      FloatingSave: false,
    })
    const Interrupt = box.value as KINTERRUPT
    times.push(boardTime(Interrupt)) // there is no line
    const line = makeLine(makeBoard([]), Vector)
    times.push(boardTime(Interrupt)) // there was no frame
    for (const us of [1200, 0xffff_ffff]) {
      write32(line + Line.BoardTime, us)
      interrupt(line)
      KeGetCurrentIrql()
    }
    return [...times, boardTime(Interrupt)]
  })
  expect(seen).toEqual([0, 0, 1200, 0xffff_ffff, 0xffff_ffff])
})
