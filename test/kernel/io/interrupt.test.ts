import { describe, expect, test } from 'vitest'
import { KeSynchronizeExecution, Latched, LevelSensitive, vectorOf } from '../../../kernel/ke/interrupt.ts'
import type { KINTERRUPT } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql } from '../../../kernel/ke/level.ts'
import { KEVENT } from '../../../kernel/ke/layouts.ts'
import { KeInitializeEvent, KeSetEvent, SynchronizationEvent } from '../../../kernel/ke/event.ts'
import { KeWaitForSingleObject, KernelMode, Executive, KeDelayExecutionThread } from '../../../kernel/ke/wait.ts'
import { KSPIN_LOCK, KeTestSpinLock } from '../../../kernel/ke/spinlock.ts'
import { IoConnectInterrupt, IoDisconnectInterrupt } from '../../../kernel/io/interrupt.ts'
import {
  CONNECT_FULLY_SPECIFIED,
  CONNECT_LINE_BASED,
  CONNECT_MESSAGE_BASED,
  type IO_CONNECT_INTERRUPT_PARAMETERS,
  IoConnectInterruptEx,
  IoDisconnectInterruptEx,
  IoReportInterruptActive,
  IoReportInterruptInactive,
} from '../../../kernel/io/interruptex.ts'
import { DEVICE_OBJECT } from '../../../kernel/io/layouts.ts'
import { createNode, Node } from '../../../kernel/io/devnode.ts'
import { allocateResources, type Resource } from '../../../kernel/io/resources.ts'
import { allocate, allocateStruct, poolUsage } from '../../../kernel/mm/pool.ts'
import { read32, write32 } from '../../../kernel/mm/access.ts'
import { Line, Post, RegisterKind } from '../../../kernel/ports/device.ts'
import {
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_1,
  STATUS_INVALID_PARAMETER_10,
  STATUS_NOT_FOUND,
  STATUS_SUCCESS,
} from '../../../kernel/rtl/status.ts'
import { ref } from '../../../kernel/rtl/ref.ts'
import { pointer, struct } from '../../../kernel/rtl/struct.ts'
import { KINTERRUPT as KINTERRUPT_TYPE } from '../../../kernel/ke/layouts.ts'
import { interrupt, kindsOf, makeBoard, makeLine, takeAll } from '../ke/board.ts'
import { bugCheckOf, onMachine } from '../ke/machine.ts'

const VECTOR = vectorOf(5, 3)
const OTHER = vectorOf(7, 1)
type Box = { value: KINTERRUPT | null }
type Connect = Parameters<typeof IoConnectInterrupt>[0]

function parameters(over: Partial<Connect> = {}): Connect & { InterruptObject: Box } {
  return {
    InterruptObject: { value: null },
    ServiceRoutine: () => true,
    ServiceContext: null,
    SpinLock: null,
    Vector: VECTOR,
    Irql: 5,
    SynchronizeIrql: 5,
    InterruptMode: LevelSensitive,
    ShareVector: false,
    ProcessorEnableMask: 1,
    FloatingSave: false,
    ...over,
  } as Connect & { InterruptObject: Box }
}

/** A PDO with the given interrupt lines. */
function pdoWith(...resources: Resource[]): DEVICE_OBJECT {
  const pdo = allocate(DEVICE_OBJECT.size, 'Test')
  const node = createNode(pdo, 0)
  write32(node + Node.Resources, allocateResources(resources)?.address ?? 0)
  return new DEVICE_OBJECT(pdo)
}
const line = (vector: number, level: number): Resource => ({ kind: 'interrupt', vector, level, latched: false })
const bytes = (): number => poolUsage().reduce((sum, row) => sum + row.bytes, 0)

// wdm-facts §4.3
describe('IoConnectInterrupt', () => {
  test.each<[string, Partial<Connect>]>([
    ['no processor in the mask', { ProcessorEnableMask: 0 }],
    ['a mask of processors that are not there', { ProcessorEnableMask: 2 }],
    ['SynchronizeIrql below Irql', { SynchronizeIrql: 4 }],
    ['an Irql above HIGH_LEVEL', { Irql: 16, SynchronizeIrql: 16 }],
    ['an Irql that is not the vector’s', { Irql: 6, SynchronizeIrql: 6 }],
    ['FloatingSave', { FloatingSave: true }],
    ['a spin lock of a passive-level interrupt', { Irql: 0, SynchronizeIrql: 0, SpinLock: new KSPIN_LOCK(0x20000) }],
  ])('IoConnectInterrupt fails with STATUS_INVALID_PARAMETER for %s, and leaves NULL', async (_, over) => {
    const seen = await onMachine(() => {
      const asked = parameters(over)
      return [IoConnectInterrupt(asked), asked.InterruptObject.value]
    })
    expect(seen).toEqual([STATUS_INVALID_PARAMETER, null])
  })

  test.each([
    [true, LevelSensitive, STATUS_SUCCESS],
    [false, LevelSensitive, STATUS_INVALID_PARAMETER],
    [true, Latched, STATUS_INVALID_PARAMETER],
  ])(
    'IoConnectInterrupt of a used vector, share %s and mode %i, gives %i',
    async (ShareVector, InterruptMode, expected) => {
      const status = await onMachine(() => {
        IoConnectInterrupt(parameters({ ShareVector: true }))
        return IoConnectInterrupt(parameters({ ShareVector, InterruptMode }))
      })
      expect(status).toBe(expected)
    },
  )

  // wdm-facts §4.5
  test('IoConnectInterrupt has the ISR called at SynchronizeIrql with the lock held', async () => {
    const seen = await onMachine(() => {
      const lock = allocateStruct(KSPIN_LOCK, 'Test') as KSPIN_LOCK
      const calls: unknown[] = []
      const made = makeLine(makeBoard([RegisterKind.Status]), VECTOR)
      const ServiceRoutine = (_: KINTERRUPT, context: number): boolean => {
        calls.push(context, KeGetCurrentIrql(), KeTestSpinLock(lock))
        return true
      }
      IoConnectInterrupt(parameters({ SpinLock: lock, SynchronizeIrql: 8, ServiceRoutine, ServiceContext: 9 }))
      interrupt(made)
      KeGetCurrentIrql()
      return { calls, free: KeTestSpinLock(lock) }
    })
    expect(seen).toEqual({ calls: [9, 8, false], free: true })
  })

  test('IoConnectInterrupt fills a field of a struct before the first interrupt arrives', async () => {
    const EXT = struct('INTERRUPT_EXT', { Interrupt: pointer(KINTERRUPT_TYPE) })
    const seen = await onMachine(() => {
      const ext = allocateStruct(EXT, 'Test') as InstanceType<typeof EXT>
      const found: boolean[] = []
      interrupt(makeLine(makeBoard([RegisterKind.Status]), VECTOR))
      IoConnectInterrupt(
        parameters({
          InterruptObject: ref(ext, 'Interrupt'),
          ServiceRoutine: () => found.push(ext.Interrupt !== null) > 0,
        }),
      )
      interrupt(makeLine(makeBoard([RegisterKind.Status]), VECTOR))
      KeGetCurrentIrql()
      return found
    })
    expect(seen).toEqual([true])
  })

  test('IoDisconnectInterrupt frees what IoConnectInterrupt made, and the ISR is not called again', async () => {
    const seen = await onMachine(async () => {
      const board = makeBoard([RegisterKind.Status])
      const made = makeLine(board, VECTOR)
      const before = bytes()
      const calls = { count: 0 }
      const asked = parameters({ ServiceRoutine: () => ++calls.count > 0 })
      IoConnectInterrupt(asked)
      await IoDisconnectInterrupt(asked.InterruptObject.value as KINTERRUPT)
      interrupt(made)
      KeGetCurrentIrql()
      return { calls: calls.count, leaked: bytes() - before, posted: kindsOf(takeAll(board)) }
    })
    expect(seen).toEqual({
      calls: 0,
      leaked: 0,
      posted: [Post.EnableLine, Post.DisableLine, Post.EndOfInterrupt],
    })
  })
})

// wdm-facts §4.4
describe('IoConnectInterruptEx', () => {
  const full = (pdo: DEVICE_OBJECT | null, over: Partial<Connect> = {}): IO_CONNECT_INTERRUPT_PARAMETERS => ({
    Version: CONNECT_FULLY_SPECIFIED,
    FullySpecified: { PhysicalDeviceObject: pdo, ...parameters(over) },
  })
  const lines = (pdo: DEVICE_OBJECT | null, box: Box, over: object = {}): IO_CONNECT_INTERRUPT_PARAMETERS => ({
    Version: CONNECT_LINE_BASED,
    LineBased: {
      PhysicalDeviceObject: pdo,
      InterruptObject: box,
      ServiceRoutine: () => true,
      ServiceContext: null,
      SpinLock: null,
      SynchronizeIrql: 0,
      FloatingSave: false,
      ...over,
    },
  })

  test.each<[string, () => IO_CONNECT_INTERRUPT_PARAMETERS, number]>([
    ['an unknown Version', () => ({ Version: 9 }), STATUS_INVALID_PARAMETER_1],
    ['no PDO', () => full(null), STATUS_INVALID_PARAMETER],
    ['a mask of 0', () => full(pdoWith(line(VECTOR, 5)), { ProcessorEnableMask: 0 }), STATUS_INVALID_PARAMETER_10],
    ['a vector of another device', () => full(pdoWith(line(OTHER, 7))), STATUS_NOT_FOUND],
    ['lines of a device without one', () => lines(pdoWith(), { value: null }), STATUS_NOT_FOUND],
    ['a vector of the device', () => full(pdoWith(line(VECTOR, 5))), STATUS_SUCCESS],
  ])('IoConnectInterruptEx of %s gives the status of its page', async (_, make, expected) => {
    expect(await onMachine(() => IoConnectInterruptEx(make()))).toBe(expected)
  })

  test('IoConnectInterruptEx connects all lines of a device under one lock at the highest DIRQL', async () => {
    const seen = await onMachine(async () => {
      const board = makeBoard([RegisterKind.Status])
      const levels: number[] = []
      const box: Box = { value: null }
      const ServiceRoutine = (): boolean => levels.push(KeGetCurrentIrql()) > 0
      const asked = lines(pdoWith(line(VECTOR, 5), line(OTHER, 7)), box, { ServiceRoutine })
      const before = bytes()
      const status = IoConnectInterruptEx(asked)
      interrupt(makeLine(board, VECTOR))
      interrupt(makeLine(board, OTHER, 1))
      KeGetCurrentIrql()
      const inside = KeSynchronizeExecution(box.value as KINTERRUPT, () => KeGetCurrentIrql(), null)
      const beforeLines = bytes()
      await IoDisconnectInterruptEx({ Version: asked.Version, ConnectionContext: box.value as KINTERRUPT })
      return { status, levels, inside, freed: beforeLines > before && bytes() < beforeLines }
    })
    expect(seen).toEqual({ status: STATUS_SUCCESS, levels: [7, 7], inside: 7, freed: true })
  })

  test('IoConnectInterruptEx MESSAGE_BASED registers the fall-back and says LINE_BASED', async () => {
    const seen = await onMachine(() => {
      const calls = { count: 0 }
      const asked: IO_CONNECT_INTERRUPT_PARAMETERS = {
        Version: CONNECT_MESSAGE_BASED,
        MessageBased: {
          PhysicalDeviceObject: pdoWith(line(VECTOR, 5)),
          ConnectionContext: { value: null },
          MessageServiceRoutine: () => false,
          ServiceContext: null,
          SpinLock: null,
          SynchronizeIrql: 0,
          FloatingSave: false,
          FallBackServiceRoutine: () => ++calls.count > 0,
        },
      }
      const status = IoConnectInterruptEx(asked)
      interrupt(makeLine(makeBoard([RegisterKind.Status]), VECTOR))
      KeGetCurrentIrql()
      return { status, version: asked.Version, calls: calls.count }
    })
    expect(seen).toEqual({ status: STATUS_SUCCESS, version: CONNECT_LINE_BASED, calls: 1 })
  })

  test('IoDisconnectInterruptEx with another Version is bug check 0xCA/9', async () => {
    const error = await bugCheckOf(async () => {
      const box: Box = { value: null }
      IoConnectInterruptEx(lines(pdoWith(line(VECTOR, 5)), box))
      await IoDisconnectInterruptEx({ Version: CONNECT_FULLY_SPECIFIED, ConnectionContext: box.value as KINTERRUPT })
    })
    expect([error.code, ...error.parameters.slice(0, 2)]).toEqual([0xca, 9, CONNECT_FULLY_SPECIFIED])
  })

  // wdm-facts §4.6
  test('IoReportInterruptInactive keeps the ISR from being called until IoReportInterruptActive', async () => {
    const seen = await onMachine(() => {
      const board = makeBoard([RegisterKind.Status])
      const made = makeLine(board, VECTOR)
      const box: Box = { value: null }
      const calls = { count: 0 }
      const asked = lines(pdoWith(line(VECTOR, 5)), box, { ServiceRoutine: () => ++calls.count > 0 })
      IoConnectInterruptEx(asked)
      const state = { Version: asked.Version, ConnectionContext: box.value as KINTERRUPT }
      IoReportInterruptInactive(state)
      IoReportInterruptInactive(state)
      interrupt(made)
      KeGetCurrentIrql()
      const inactive = calls.count
      IoReportInterruptActive(state)
      interrupt(made)
      KeGetCurrentIrql()
      return { inactive, active: calls.count, posted: kindsOf(takeAll(board)) }
    })
    const { EnableLine, DisableLine, EndOfInterrupt } = Post
    expect(seen).toEqual({
      inactive: 0,
      active: 1,
      posted: [EnableLine, DisableLine, EndOfInterrupt, EnableLine, EndOfInterrupt],
    })
  })

  test('IoReportInterruptActive of an active interrupt changes nothing', async () => {
    const posted = await onMachine(() => {
      const board = makeBoard([RegisterKind.Status])
      makeLine(board, VECTOR)
      const box: Box = { value: null }
      IoConnectInterruptEx(lines(pdoWith(line(VECTOR, 5)), box))
      IoReportInterruptActive({ Version: CONNECT_LINE_BASED, ConnectionContext: box.value as KINTERRUPT })
      return kindsOf(takeAll(board))
    })
    expect(posted).toEqual([Post.EnableLine])
  })
})

// wdm-facts §4.1, §4.4: Windows 8 and later
describe('passive-level interrupts', () => {
  const passive = (ServiceRoutine: Connect['ServiceRoutine']): Connect & { InterruptObject: Box } =>
    parameters({ Irql: 0, SynchronizeIrql: 0, ServiceRoutine })

  test('IoConnectInterrupt at PASSIVE_LEVEL has an async ISR run there, and sends the EOI behind it', async () => {
    const seen = await onMachine(async () => {
      const board = makeBoard([RegisterKind.Status])
      const made = makeLine(board, VECTOR)
      const event = allocateStruct(KEVENT, 'Test') as KEVENT
      KeInitializeEvent(event, SynchronizationEvent, false)
      const log: unknown[] = []
      const asked = passive(async () => {
        log.push(KeGetCurrentIrql())
        await KeWaitForSingleObject(event, Executive, KernelMode, false, null)
        log.push(kindsOf(takeAll(board)))
        return true
      })
      IoConnectInterrupt(asked)
      interrupt(made)
      await KeDelayExecutionThread(KernelMode, false, -10_000)
      KeSetEvent(event, 0, false)
      await KeDelayExecutionThread(KernelMode, false, -10_000)
      log.push(kindsOf(takeAll(board)), read32(made + Line.Claims))
      await IoDisconnectInterrupt(asked.InterruptObject.value as KINTERRUPT)
      return log
    })
    expect(seen).toEqual([0, [Post.EnableLine], [Post.EndOfInterrupt], 1])
  })

  test('KeSynchronizeExecution of a passive-level interrupt keeps the ISR out while its routine waits', async () => {
    const log = await onMachine(async () => {
      const made = makeLine(makeBoard([RegisterKind.Status]), VECTOR)
      const order: string[] = []
      const asked = passive(async () => {
        order.push('isr')
        return true
      })
      IoConnectInterrupt(asked)
      const result = await KeSynchronizeExecution(
        asked.InterruptObject.value as KINTERRUPT,
        async () => {
          order.push('begin')
          interrupt(made)
          await KeDelayExecutionThread(KernelMode, false, -10_000)
          order.push('end')
          return 2
        },
        null,
      )
      await KeDelayExecutionThread(KernelMode, false, -10_000)
      await IoDisconnectInterrupt(asked.InterruptObject.value as KINTERRUPT)
      return [...order, result]
    })
    expect(log).toEqual(['begin', 'end', 'isr', 2])
  })

  test('KeSynchronizeExecution of a passive-level interrupt with a plain routine is bug check 0x121', async () => {
    const error = await bugCheckOf(() => {
      const asked = passive(() => true)
      IoConnectInterrupt(asked)
      KeSynchronizeExecution(asked.InterruptObject.value as KINTERRUPT, () => true, null)
    })
    expect(error.code).toBe(0x121)
    expect(error.message).toContain('async')
  })

  test('KeSynchronizeExecution with an async routine is bug check 0x121 where there is a spin lock', async () => {
    const error = await bugCheckOf(() => {
      const asked = parameters()
      IoConnectInterrupt(asked)
      void KeSynchronizeExecution(asked.InterruptObject.value as KINTERRUPT, async () => true, null)
    })
    expect(error.code).toBe(0x121)
  })

  test('IoDisconnectInterrupt of a passive-level interrupt waits for the ISR and leaves nothing behind', async () => {
    const seen = await onMachine(async () => {
      const made = makeLine(makeBoard([RegisterKind.Status]), VECTOR)
      const state = { done: false }
      await KeDelayExecutionThread(KernelMode, false, -10_000)
      const before = bytes()
      const asked = passive(async () => {
        await KeDelayExecutionThread(KernelMode, false, -20_000)
        state.done = true
        return true
      })
      IoConnectInterrupt(asked)
      interrupt(made)
      await KeDelayExecutionThread(KernelMode, false, -10_000)
      await IoDisconnectInterrupt(asked.InterruptObject.value as KINTERRUPT)
      const done = state.done
      await KeDelayExecutionThread(KernelMode, false, -50_000)
      return { done, leaked: bytes() - before }
    })
    expect(seen).toEqual({ done: true, leaked: 0 })
  })
})
