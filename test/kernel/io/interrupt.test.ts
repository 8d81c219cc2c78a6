import { describe, expect, test } from 'vitest'
import { KeSynchronizeExecution, Latched, LevelSensitive, requestVector } from '../../../kernel/ke/interrupt.ts'
import type { KINTERRUPT } from '../../../kernel/ke/layouts.ts'
import { APC_LEVEL, DISPATCH_LEVEL, KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KSPIN_LOCK, KeTestSpinLock } from '../../../kernel/ke/spinlock.ts'
import { IoConnectInterrupt, IoDisconnectInterrupt } from '../../../kernel/io/interrupt.ts'
import {
  CONNECT_FULLY_SPECIFIED,
  CONNECT_FULLY_SPECIFIED_GROUP,
  CONNECT_LINE_BASED,
  CONNECT_MESSAGE_BASED,
  type IO_CONNECT_INTERRUPT_PARAMETERS,
  IoConnectInterruptEx,
  IoDisconnectInterruptEx,
  IoReportInterruptActive,
  IoReportInterruptInactive,
} from '../../../kernel/io/interruptex.ts'
import type { DEVICE_OBJECT } from '../../../kernel/io/layouts.ts'
import { allocateStruct, poolFault, tagOf } from '../../../kernel/mm/pool.ts'
import { Post, RegisterKind } from '../../../kernel/ports/device.ts'
import {
  STATUS_INSUFFICIENT_RESOURCES,
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
import {
  type Box,
  bytes,
  type Connect,
  full,
  line,
  lines,
  messages,
  OTHER,
  parameters,
  pdoWith,
  VECTOR,
} from './lines.ts'
import { bugCheckOf, onMachine } from '../ke/machine.ts'

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
      asked.InterruptObject.value = new KINTERRUPT_TYPE(0x20000)
      return [IoConnectInterrupt(asked), asked.InterruptObject.value]
    })
    expect(seen).toEqual([STATUS_INVALID_PARAMETER, null])
  })

  test('IoConnectInterrupt without memory gives STATUS_INSUFFICIENT_RESOURCES and NULL, and leaves the vector free', async () => {
    const seen = await onMachine(() => {
      const asked = parameters()
      asked.InterruptObject.value = new KINTERRUPT_TYPE(0x20000)
      poolFault.shouldFail = (_size, tag) => tag === tagOf('IoIn')
      const status = IoConnectInterrupt(asked)
      poolFault.shouldFail = null
      return [status, asked.InterruptObject.value, IoConnectInterrupt(parameters())]
    })
    expect(seen).toEqual([STATUS_INSUFFICIENT_RESOURCES, null, STATUS_SUCCESS])
  })

  test('IoConnectInterrupt of a vector that its first object does not share gives STATUS_INVALID_PARAMETER', async () => {
    const status = await onMachine(() => {
      IoConnectInterrupt(parameters({ ShareVector: false }))
      return IoConnectInterrupt(parameters({ ShareVector: true }))
    })
    expect(status).toBe(STATUS_INVALID_PARAMETER)
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

  test('IoConnectInterrupt without a spin lock gives each object its own: each ISR of a chain holds its own alone', async () => {
    const seen = await onMachine(() => {
      const asked = [0, 1].map((ServiceContext) => parameters({ ShareVector: true, ServiceContext, ServiceRoutine }))
      const held: boolean[][] = []
      function ServiceRoutine(): boolean {
        held.push(asked.map(({ InterruptObject: { value } }) => !KeTestSpinLock(new KSPIN_LOCK(value!.ActualLock))))
        return false
      }
      for (const one of asked) IoConnectInterrupt(one)
      requestVector(0, VECTOR)
      KeGetCurrentIrql()
      return held
    })
    expect(seen).toEqual([
      [true, false],
      [false, true],
    ])
  })

  test('IoConnectInterrupt with several processors in the mask makes one object, on the lowest of them', async () => {
    const seen = await onMachine(() => {
      const asked = parameters({ ProcessorEnableMask: 0xffffffff })
      const before = bytes()
      IoConnectInterrupt(asked)
      const taken = bytes() - before
      const { address, Processor } = asked.InterruptObject.value as KINTERRUPT
      return [Processor, address > 0, taken < 2 * KINTERRUPT_TYPE.size]
    })
    expect(seen).toEqual([0, true, true])
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

  test('CONNECT_FULLY_SPECIFIED, _LINE_BASED, _MESSAGE_BASED and _FULLY_SPECIFIED_GROUP are 1 to 4', () => {
    const versions = [CONNECT_FULLY_SPECIFIED, CONNECT_LINE_BASED, CONNECT_MESSAGE_BASED, CONNECT_FULLY_SPECIFIED_GROUP]
    expect([...versions, LevelSensitive, Latched]).toEqual([1, 2, 3, 4, 0, 1])
  })

  const device = (): DEVICE_OBJECT => pdoWith(line(VECTOR, 5))
  test.each<[string, (box: Box) => IO_CONNECT_INTERRUPT_PARAMETERS, number]>([
    ['CONNECT_FULLY_SPECIFIED', (InterruptObject) => full(device(), { InterruptObject }), CONNECT_FULLY_SPECIFIED],
    [
      'CONNECT_FULLY_SPECIFIED_GROUP',
      (InterruptObject) => ({ ...full(device(), { InterruptObject }), Version: CONNECT_FULLY_SPECIFIED_GROUP }),
      CONNECT_FULLY_SPECIFIED_GROUP,
    ],
    ['CONNECT_LINE_BASED', (box) => lines(device(), box), CONNECT_LINE_BASED],
    ['CONNECT_MESSAGE_BASED', (box) => messages(device(), box), CONNECT_LINE_BASED],
  ])(
    'IoConnectInterruptEx by %s leaves the Version that IoDisconnectInterruptEx takes',
    async (_name, make, version) => {
      const seen = await onMachine(async () => {
        const box: Box = { value: null }
        const asked = make(box)
        const status = IoConnectInterruptEx(asked)
        await IoDisconnectInterruptEx({ Version: asked.Version, ConnectionContext: box.value as KINTERRUPT })
        return [status, asked.Version, IoConnectInterrupt(parameters())]
      })
      expect(seen).toEqual([STATUS_SUCCESS, version, STATUS_SUCCESS])
    },
  )

  test.each<[string, () => IO_CONNECT_INTERRUPT_PARAMETERS, number]>([
    ['lines of no PDO', () => lines(null, { value: null }), STATUS_INVALID_PARAMETER],
    ['messages of no PDO', () => messages(null, { value: null }), STATUS_INVALID_PARAMETER],
    ['messages of a device without a line', () => messages(pdoWith(), { value: null }), STATUS_NOT_FOUND],
    [
      'lines with FloatingSave',
      () => lines(device(), { value: null }, { FloatingSave: true }),
      STATUS_INVALID_PARAMETER,
    ],
    [
      'a passive-level ISR with a spin lock',
      () => full(device(), { Irql: 0, SynchronizeIrql: 0, SpinLock: allocateStruct(KSPIN_LOCK, 'Test') }),
      STATUS_INVALID_PARAMETER,
    ],
  ])('IoConnectInterruptEx refuses %s', async (_what, make, expected) => {
    expect(await onMachine(() => IoConnectInterruptEx(make()))).toBe(expected)
  })

  test('IoConnectInterruptEx without memory for the second line, or with it taken, connects none', async () => {
    const seen = await onMachine(() => {
      const pdo = pdoWith(line(VECTOR, 5), line(OTHER, 7))
      const before = bytes()
      let count = 0
      poolFault.shouldFail = (_size, tag) => tag === tagOf('IoIn') && ++count === 2
      const without = IoConnectInterruptEx(lines(pdo, { value: null }))
      poolFault.shouldFail = null
      const leaked = bytes() - before
      IoConnectInterrupt(parameters({ Vector: OTHER, Irql: 7, SynchronizeIrql: 7 }))
      const taken = IoConnectInterruptEx(lines(pdo, { value: null }))
      return [without, leaked, taken, IoConnectInterrupt(parameters())]
    })
    expect(seen).toEqual([STATUS_INSUFFICIENT_RESOURCES, 0, STATUS_INVALID_PARAMETER, STATUS_SUCCESS])
  })

  test.each([
    [0, 7],
    [6, 7],
    [9, 9],
  ])(
    'IoConnectInterruptEx takes a SynchronizeIrql of %i for lines of 5 and 7 as a minimum: %i',
    async (given, used) => {
      const irql = await onMachine(() => {
        const box: Box = { value: null }
        const pdo = pdoWith(line(VECTOR, 5), line(OTHER, 7))
        IoConnectInterruptEx(lines(pdo, box, { SynchronizeIrql: given }))
        return KeSynchronizeExecution(box.value as KINTERRUPT, KeGetCurrentIrql, null)
      })
      expect(irql).toBe(used)
    },
  )

  test('IoConnectInterruptEx FULLY_SPECIFIED uses the SynchronizeIrql that it is given', async () => {
    const irql = await onMachine(() => {
      const asked = full(device(), { SynchronizeIrql: 9 })
      IoConnectInterruptEx(asked)
      return KeSynchronizeExecution(asked.FullySpecified!.InterruptObject.value!, KeGetCurrentIrql, null)
    })
    expect(irql).toBe(9)
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
      const asked = messages(device(), { value: null }, () => ++calls.count > 0)
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

  test('IoReportInterruptInactive and IoReportInterruptActive with another Version are bug check 0xCA/9', async () => {
    for (const report of [IoReportInterruptInactive, IoReportInterruptActive]) {
      const error = await bugCheckOf(() => {
        const box: Box = { value: null }
        IoConnectInterruptEx(lines(device(), box))
        report({ Version: CONNECT_FULLY_SPECIFIED, ConnectionContext: box.value as KINTERRUPT })
      })
      expect([error.code, ...error.parameters.slice(0, 2)]).toEqual([0xca, 9, CONNECT_FULLY_SPECIFIED])
    }
  })

  test('IoReportInterruptInactive and IoReportInterruptActive are called at up to DISPATCH_LEVEL', async () => {
    const report = (irql: number) => () => {
      const box: Box = { value: null }
      IoConnectInterruptEx(lines(device(), box))
      const state = { Version: CONNECT_LINE_BASED, ConnectionContext: box.value as KINTERRUPT }
      KeRaiseIrql(irql, { value: 0 })
      IoReportInterruptInactive(state)
      IoReportInterruptActive(state)
      KeLowerIrql(0)
    }
    await onMachine(report(DISPATCH_LEVEL))
    expect((await bugCheckOf(report(3))).code).toBe(0x0a)
  })
})

test.each<[string, (object: KINTERRUPT) => unknown]>([
  ['IoConnectInterrupt', () => IoConnectInterrupt(parameters())],
  ['IoConnectInterruptEx', () => IoConnectInterruptEx(full(null))],
  ['IoDisconnectInterrupt', (object) => IoDisconnectInterrupt(object)],
  ['IoDisconnectInterruptEx', (object) => IoDisconnectInterruptEx({ Version: 1, ConnectionContext: object })],
])('%s above PASSIVE_LEVEL is a bug check', async (name, act) => {
  const crash = onMachine(() => {
    const asked = parameters()
    IoConnectInterrupt(asked)
    KeRaiseIrql(APC_LEVEL, { value: 0 })
    void act(asked.InterruptObject.value as KINTERRUPT)
  })
  await expect(crash).rejects.toThrow(`${name} may be called at PASSIVE_LEVEL at most`)
})
