/**
 * A volume on a machine of one processor, whose directories are opened, watched and reported on by the test itself.
 * The requests are IRPs that go through a driver's dispatch routine, and end in the test.
 */
import { boot } from '../../../machine/index.ts'
import { IoCallDriver } from '../../../kernel/io/call.ts'
import { IoWriteAccess, IRP_MJ_DIRECTORY_CONTROL, IRP_MN_NOTIFY_CHANGE_DIRECTORY } from '../../../kernel/io/codes.ts'
import { IoAllocateIrp, IoFreeIrp, IoGetNextIrpStackLocation, IoSetCompletionRoutine } from '../../../kernel/io/irp.ts'
import { type DEVICE_OBJECT, FILE_OBJECT, type IRP } from '../../../kernel/io/layouts.ts'
import { IoAllocateMdl, MmProbeAndLockPages } from '../../../kernel/io/mdl.ts'
import { FsRtlNotifyCleanup, FsRtlNotifyCleanupAll } from '../../../kernel/fsrtl/cleanup.ts'
import { FILE_ACTION_ADDED, FILE_NOTIFY_CHANGE_FILE_NAME } from '../../../kernel/fsrtl/codes.ts'
import type { AnyName } from '../../../kernel/fsrtl/name.ts'
import { FsRtlNotifyFilterReportChange, type NotifyFilterReport } from '../../../kernel/fsrtl/report.ts'
import { FsRtlNotifyInitializeSync, FsRtlNotifyUninitializeSync, NOTIFY_SYNC } from '../../../kernel/fsrtl/sync.ts'
import {
  FsRtlNotifyChangeDirectory,
  FsRtlNotifyFilterChangeDirectory,
  FsRtlNotifyFullChangeDirectory,
} from '../../../kernel/fsrtl/watch.ts'
import { StatusError } from '../../../kernel/ke/exception.ts'
import { out } from '../../../kernel/ke/out.ts'
import { KernelMode } from '../../../kernel/ke/wait.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { allocate, allocateStruct, free, poolUsage } from '../../../kernel/mm/pool.ts'
import { LIST_ENTRY, initializeList, isEmpty } from '../../../kernel/rtl/list.ts'
import { STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING } from '../../../kernel/rtl/status.ts'
import { UNICODE_STRING } from '../../../kernel/rtl/string.ts'
import type { Pvoid } from '../../../kernel/rtl/struct.ts'
import { finish, stackOf } from '../io/system.ts'
import { Request, type WatchOptions } from './request.ts'

export * from './request.ts'

/** One open of a directory. */
export class Open {
  readonly volume: Volume
  readonly name: AnyName | null
  readonly file: FILE_OBJECT

  constructor(volume: Volume, name: AnyName | null, stream: number) {
    this.volume = volume
    this.name = name
    this.file = volume.make(FILE_OBJECT)
    this.file.FsContext = stream === 0 ? this.file.address : stream
  }

  /** Sends a request; it may be completed already. */
  watch(options: WatchOptions = {}): Promise<Request> {
    return this.volume.send(this, options)
  }

  cleanup(): void | Promise<void> {
    return FsRtlNotifyCleanup(this.volume.sync, this.volume.list, this.file)
  }
}

export type ReportOptions = Partial<Omit<NotifyFilterReport, 'NotifySync' | 'NotifyList' | 'Action'>>

export class Volume {
  readonly box = out<NOTIFY_SYNC | null>()
  readonly list: LIST_ENTRY
  readonly requests: Request[] = []
  readonly #blocks: number[] = []
  #device: DEVICE_OBJECT | undefined
  /** What happens to an IRP before the driver gets it. */
  beforeSending: ((irp: IRP) => void) | null = null

  constructor() {
    this.list = this.make(LIST_ENTRY)
    initializeList(this.list.address)
    FsRtlNotifyInitializeSync(this.box)
  }

  get sync(): NOTIFY_SYNC {
    return this.box.value as NOTIFY_SYNC
  }

  /** A zeroed struct that lives as long as the volume. */
  make<T>(type: { new (address: number): T; readonly size: number }): T {
    return new type(this.block(type.size))
  }

  block(size: number): number {
    const address = allocate(size, 'Vol ')
    this.#blocks.push(address)
    return address
  }

  /** A counted string in the machine's memory. */
  unicode(text: string, room = text.length): UNICODE_STRING {
    const string = this.make(UNICODE_STRING)
    string.Buffer = this.block(2 * room)
    string.MaximumLength = 2 * room
    spell(string, text)
    return string
  }

  /** A counted string of bytes: the characters' codes. */
  bytes(text: string): UNICODE_STRING {
    const string = this.make(UNICODE_STRING)
    string.Buffer = this.block(text.length || 1)
    string.Length = text.length
    for (let i = 0; i < text.length; i++) mem.u8[string.Buffer + i] = text.charCodeAt(i)
    return string
  }

  open(name: AnyName | null, stream = 0): Open {
    return new Open(this, name, stream)
  }

  async send(open: Open, options: WatchOptions): Promise<Request> {
    this.#device ??= (await stackOf({ [IRP_MJ_DIRECTORY_CONTROL]: (_device, irp) => this.#serve(irp) }))[0]
    const { length = 4096, buffer: kind = 'system', skew = 0 } = options
    const block = kind === 'none' ? 0 : this.block(length + skew + 1) + skew
    const irp = IoAllocateIrp(1, false) as IRP
    const request = new Request(irp, block, length, options)
    this.requests.push(request)
    if (kind === 'system') irp.AssociatedIrp.SystemBuffer = block
    if (kind === 'mdl') MmProbeAndLockPages(IoAllocateMdl(block, length, false, false, irp)!, KernelMode, IoWriteAccess)
    if (kind === 'user') irp.UserBuffer = block
    const stack = IoGetNextIrpStackLocation(irp)
    stack.MajorFunction = IRP_MJ_DIRECTORY_CONTROL
    stack.MinorFunction = IRP_MN_NOTIFY_CHANGE_DIRECTORY
    stack.FileObject = open.file
    stack.Parameters.NotifyDirectory.Length = length
    IoSetCompletionRoutine({
      Irp: irp,
      CompletionRoutine: () => {
        request.complete()
        return STATUS_MORE_PROCESSING_REQUIRED
      },
      Context: null,
      InvokeOnSuccess: true,
      InvokeOnError: true,
      InvokeOnCancel: true,
    })
    this.#opens.set(irp.address, open)
    this.beforeSending?.(irp)
    await IoCallDriver(this.#device as DEVICE_OBJECT, irp)
    return request
  }

  readonly #opens = new Map<number, Open>()

  /** The dispatch routine of IRP_MJ_DIRECTORY_CONTROL: pending, unless a status is raised. */
  async #serve(irp: IRP): Promise<number> {
    try {
      await this.#change(irp)
      return STATUS_PENDING
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      return finish(irp, error.status)
    }
  }

  #change(irp: IRP): void | Promise<void> {
    const request = this.requests.find((one) => one.irp.address === irp.address) as Request
    const open = this.#opens.get(irp.address) as Open
    const { length: _length, buffer: _buffer, skew: _skew, whenDone: _whenDone, ...options } = request.options
    const { firstForm = false, fullForm = false, ...given } = options
    const parameters = {
      NotifySync: this.sync,
      NotifyList: this.list,
      FsContext: open.file,
      FullDirectoryName: open.name,
      WatchTree: false,
      IgnoreBuffer: false,
      CompletionFilter: FILE_NOTIFY_CHANGE_FILE_NAME,
      NotifyIrp: irp,
      ...given,
    }
    if (firstForm) return FsRtlNotifyChangeDirectory(parameters)
    return fullForm ? FsRtlNotifyFullChangeDirectory(parameters) : FsRtlNotifyFilterChangeDirectory(parameters)
  }

  /** Reports a change of a file name, if the options say nothing else. */
  report(target: AnyName | null, action = FILE_ACTION_ADDED, options: ReportOptions = {}): void | Promise<void> {
    const offset = typeof target === 'string' ? 2 * (target.lastIndexOf('\\') + 1) : 0
    return FsRtlNotifyFilterReportChange({
      NotifySync: this.sync,
      NotifyList: this.list,
      FullTargetName: target,
      TargetNameOffset: offset,
      FilterMatch: FILE_NOTIFY_CHANGE_FILE_NAME,
      Action: action,
      ...options,
    })
  }

  /** The directory whose file objects have this FsContext is deleted. */
  remove(stream: number, subject: Pvoid = null): void | Promise<void> {
    return FsRtlNotifyFilterChangeDirectory({
      NotifySync: this.sync,
      NotifyList: this.list,
      FsContext: stream,
      FullDirectoryName: null,
      WatchTree: false,
      IgnoreBuffer: false,
      CompletionFilter: 0,
      NotifyIrp: null,
      SubjectContext: subject,
    })
  }

  cleanupAll(): void | Promise<void> {
    return FsRtlNotifyCleanupAll(this.sync, this.list)
  }

  get isEmpty(): boolean {
    return isEmpty(this.list.address)
  }

  /** Ends everything, and frees what the test made. */
  async close(): Promise<void> {
    if (this.box.value === null) FsRtlNotifyInitializeSync(this.box)
    await this.cleanupAll()
    FsRtlNotifyUninitializeSync(this.box)
    for (const { irp, outcome, completions } of this.requests) {
      if (outcome === 'pending' || completions !== 1) throw new Error(`a request was completed ${completions} times`)
      irp.AssociatedIrp.SystemBuffer = 0
      IoFreeIrp(irp)
    }
    for (const block of this.#blocks) free(block, 'Vol ')
  }
}

/** Changes what a counted string says, in place, as a file system does that renames a directory. */
export function spell(string: UNICODE_STRING, text: string): void {
  string.Length = 2 * text.length
  for (let i = 0; i < text.length; i++) mem.u16[(string.Buffer >> 1) + i] = text.charCodeAt(i)
}

/** Blocks of the notify package that are in use, by tag. */
export function blocksInUse(): Record<string, number> {
  const tags = ['FSNS', 'FsNC', 'FsNI', 'FsNT', 'FsND', 'FsNB']
  const rows = poolUsage().filter(({ tag }) => tags.includes(tag))
  return Object.fromEntries(
    rows.map(({ tag, allocations, frees }) => [tag, allocations - frees]).filter(([, n]) => n !== 0),
  )
}

/** Runs `body` on a system thread with a fresh volume, and expects that nothing of it is left. */
export async function onVolume<T>(body: (volume: Volume) => T | Promise<T>, options: object = {}): Promise<T> {
  await using machine = await boot({ localRoutines: true, build: 'checked', ...options })
  return await machine.run(async () => {
    const volume = new Volume()
    const result = await body(volume)
    await volume.close()
    const left = blocksInUse()
    if (Object.keys(left).length > 0) throw new Error(`the notify package leaks ${JSON.stringify(left)}`)
    return result
  })
}

/** An empty pool block that a test fills. */
export const makeStruct = <T>(type: { new (address: number): T; readonly size: number }): T =>
  allocateStruct(type, 'Test') as T
