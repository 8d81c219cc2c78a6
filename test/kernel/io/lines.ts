/** Connections to lines of a device: what the tests ask for, and a PDO that has them. */
import { LevelSensitive, vectorOf } from '../../../kernel/ke/interrupt.ts'
import type { KINTERRUPT } from '../../../kernel/ke/layouts.ts'
import type { IoConnectInterrupt } from '../../../kernel/io/interrupt.ts'
import {
  CONNECT_FULLY_SPECIFIED,
  CONNECT_LINE_BASED,
  CONNECT_MESSAGE_BASED,
  type IO_CONNECT_INTERRUPT_PARAMETERS,
} from '../../../kernel/io/interruptex.ts'
import { DEVICE_OBJECT } from '../../../kernel/io/layouts.ts'
import { createNode, Node } from '../../../kernel/io/devnode.ts'
import { allocateResources, type Resource } from '../../../kernel/io/resources.ts'
import { write32 } from '../../../kernel/mm/access.ts'
import { allocate, poolUsage } from '../../../kernel/mm/pool.ts'

export const VECTOR = vectorOf(5, 3)
export const OTHER = vectorOf(7, 1)
export type Box = { value: KINTERRUPT | null }
export type Connect = Parameters<typeof IoConnectInterrupt>[0]

/** What connects to VECTOR alone. */
export function parameters(over: Partial<Connect> = {}): Connect & { InterruptObject: Box } {
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

/** The same by CONNECT_FULLY_SPECIFIED. */
export const full = (pdo: DEVICE_OBJECT | null, over: Partial<Connect> = {}): IO_CONNECT_INTERRUPT_PARAMETERS => ({
  Version: CONNECT_FULLY_SPECIFIED,
  FullySpecified: { PhysicalDeviceObject: pdo, ...parameters(over) },
})

/** All lines of a device, by CONNECT_LINE_BASED. */
export const lines = (pdo: DEVICE_OBJECT | null, box: Box, over: object = {}): IO_CONNECT_INTERRUPT_PARAMETERS => ({
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

/** Its messages, which it does not have: `isr` is for its lines. */
export const messages = (
  pdo: DEVICE_OBJECT | null,
  ConnectionContext: Box,
  isr: () => boolean = () => true,
): IO_CONNECT_INTERRUPT_PARAMETERS => ({
  Version: CONNECT_MESSAGE_BASED,
  MessageBased: {
    PhysicalDeviceObject: pdo,
    ConnectionContext,
    MessageServiceRoutine: () => false,
    ServiceContext: null,
    SpinLock: null,
    SynchronizeIrql: 0,
    FloatingSave: false,
    FallBackServiceRoutine: isr,
  },
})

/** A PDO with the given interrupt lines. */
export function pdoWith(...resources: Resource[]): DEVICE_OBJECT {
  const pdo = allocate(DEVICE_OBJECT.size, 'Test')
  const node = createNode(pdo, 0)
  write32(node + Node.Resources, allocateResources(resources)?.address ?? 0)
  return new DEVICE_OBJECT(pdo)
}

/** A line at its DIRQL; at level 0 it is a passive-level interrupt. */
export const line = (vector: number, level: number, over: Partial<Resource> = {}): Resource =>
  ({ kind: 'interrupt', vector, level, latched: false, ...over }) as Resource

/** Pool that is in use. */
export const bytes = (): number => poolUsage().reduce((sum, row) => sum + row.bytes, 0)
