/* The i2c class (docs/hardware/i2c.md). */
#include "classes.h"
#include "twi.h"

#define MOST_WRITTEN 72
#define MOST_READ 64
#define CONTROL_RESET 0x00640000UL
#define TIMEOUT_RESET 25

enum { CONTROL, ADDRESS, WRITE_LENGTH, READ_LENGTH, DATA, COMMAND, STATUS, TRANSFERS, RECEIVED, LEVEL, TIMEOUT_MS, REFUSED };

enum { ENABLE = 1 };
enum { START = 1, ABORT = 2, RECOVER = 4 };
enum {
  BUSY = 1,
  DONE = 2,
  NACK_ADDRESS = 4,
  NACK_DATA = 8,
  TIMEOUT = 16,
  BUS_STUCK = 32,
  ABORTED = 64,
  INVALID = 128
};

/* A transaction that was started WAITS until the bytes of the one before are with the host: they share `bytes`. */
enum { IDLE, WAITS, RUNS, RECOVERS };

static uint32_t control, address, write_length, read_length, timeout_ms, transfers, refused;
static uint8_t state, status, received;
static uint8_t must_apply;   /* CONTROL, when nothing runs */
static uint8_t must_recover; /* when the transaction has ended */
static uint16_t ends;        /* edges of `done` that were not counted yet */

static uint8_t staged[MOST_WRITTEN]; /* the transmit buffer */
static uint8_t staged_count, has_dropped;

/* The transaction: taken over at START. */
static uint8_t bytes[MOST_WRITTEN];
static uint8_t is_valid, to_address, to_write, to_read;
static uint16_t to_wait_ms;

/* Bytes received, in `bytes`, and those of them that the host has. */
static uint8_t received_count, taken_count;

static uint16_t speed_khz(void)
{
  return control & ENABLE ? (uint16_t)(control >> 16) : 0;
}

static uint8_t is_speed_possible(void)
{
  return speed_khz() >= 10 && speed_khz() <= 400;
}

static void apply_control(void)
{
  must_apply = 0;
  twi_setup(is_speed_possible() ? speed_khz() : 0);
}

static void empty_staged(void)
{
  staged_count = has_dropped = 0;
}

static void begin(void)
{
  control = CONTROL_RESET;
  timeout_ms = TIMEOUT_RESET;
  address = write_length = read_length = transfers = refused = 0;
  state = status = received = must_recover = 0;
  received_count = taken_count = 0;
  ends = 0;
  empty_staged();
  apply_control();
}

static uint8_t waiting(void)
{
  return received_count - taken_count;
}

static uint32_t take(void)
{
  return bytes[taken_count++];
}

static void end(uint8_t how)
{
  state = IDLE;
  status = DONE | how;
  received = how ? 0 : received_count;
  transfers++;
  ends++;
}

static void start(void)
{
  if (state != IDLE) {
    refused++;
    return;
  }
  is_valid = is_speed_possible() && address < 128 && !has_dropped && write_length == staged_count &&
             read_length <= MOST_READ;
  to_address = (uint8_t)address;
  to_write = staged_count;
  to_read = (uint8_t)read_length;
  to_wait_ms = (uint16_t)(timeout_ms < 1 ? 1 : timeout_ms > 1000 ? 1000 : timeout_ms);
  state = WAITS;
}

static void begin_transaction(void)
{
  received_count = taken_count = 0;
  if (is_valid) {
    for (uint8_t i = 0; i < to_write; i++) bytes[i] = staged[i];
    state = RUNS;
    twi_begin(to_address, bytes, to_write, to_read, to_wait_ms);
  } else {
    end(INVALID);
  }
  empty_staged();
}

static void stop(void)
{
  if (state == WAITS) end(ABORTED);
  else if (state == RUNS) twi_abort();
  empty_staged();
}

static void recover(void)
{
  if (state == RECOVERS) return;
  stop();
  must_recover = 1;
  /* What a host without room did not take must not keep the recovery from being told. */
  if (state != RUNS && waiting()) {
    bridge_error(BRIDGE_FIFO_OVERRUN);
    received_count = taken_count = 0;
  }
}

static void command(uint32_t value)
{
  if (value & RECOVER) recover();
  else if (value & ABORT) stop();
  else if (value & START) start();
}

static uint8_t how_of(enum twi_result result)
{
  switch (result) {
    case TWI_NACK_ADDRESS:
      return NACK_ADDRESS;
    case TWI_NACK_DATA:
      return NACK_DATA;
    case TWI_TIMEOUT:
      return TIMEOUT;
    case TWI_STUCK:
      return BUS_STUCK;
    case TWI_ABORTED:
      return ABORTED;
    default:
      return 0;
  }
}

static void poll(void)
{
  if (state == RUNS || state == RECOVERS) {
    const enum twi_result result = twi_poll();
    if (result == TWI_RUNS) return;
    received_count = state == RUNS && result == TWI_DONE ? to_read : 0;
    taken_count = 0;
    end(how_of(result));
  }
  if (must_apply) apply_control();
  if (must_recover && state == IDLE) {
    must_recover = 0;
    state = RECOVERS;
    twi_recover();
  } else if (state == WAITS && !waiting()) {
    begin_transaction();
  }
}

static enum bridge_error write(uint16_t reg, uint32_t value)
{
  switch (reg) {
    case CONTROL:
      control = value;
      must_apply = 1;
      return BRIDGE_OK;
    case ADDRESS:
      address = value;
      return BRIDGE_OK;
    case WRITE_LENGTH:
      write_length = value;
      return BRIDGE_OK;
    case READ_LENGTH:
      read_length = value;
      return BRIDGE_OK;
    case DATA:
      if (staged_count == MOST_WRITTEN) {
        has_dropped = 1;
        return BRIDGE_FIFO_FULL;
      }
      staged[staged_count++] = (uint8_t)value;
      return BRIDGE_OK;
    case COMMAND:
      command(value);
      return BRIDGE_OK;
    case TIMEOUT_MS:
      timeout_ms = value;
      return BRIDGE_OK;
    default:
      return BRIDGE_NO_SUCH_THING;
  }
}

static enum bridge_error read(uint16_t reg, uint32_t *value)
{
  switch (reg) {
    case CONTROL:
      *value = control;
      return BRIDGE_OK;
    case ADDRESS:
      *value = address;
      return BRIDGE_OK;
    case WRITE_LENGTH:
      *value = write_length;
      return BRIDGE_OK;
    case READ_LENGTH:
      *value = read_length;
      return BRIDGE_OK;
    case DATA:
    case COMMAND:
    case LEVEL:
      *value = 0;
      return BRIDGE_OK;
    case STATUS:
      *value = state == IDLE && !must_recover ? status : status | BUSY;
      return BRIDGE_OK;
    case TRANSFERS:
      *value = transfers;
      return BRIDGE_OK;
    case RECEIVED:
      *value = received;
      return BRIDGE_OK;
    case TIMEOUT_MS:
      *value = timeout_ms;
      return BRIDGE_OK;
    case REFUSED:
      *value = refused;
      return BRIDGE_OK;
    default:
      return BRIDGE_NO_SUCH_THING;
  }
}

static uint8_t is_busy(void)
{
  return state == RUNS || state == RECOVERS || must_recover;
}

static uint16_t edges(uint8_t line)
{
  const uint16_t count = ends;
  (void)line;
  ends = 0;
  return count;
}

/* The bytes of a transaction go before the frame that tells its end. */
static uint8_t frame(uint8_t line)
{
  (void)line;
  return !waiting();
}

static uint16_t snapshot(uint8_t line, uint8_t index)
{
  static const uint8_t registers[] = {STATUS, TRANSFERS, RECEIVED, REFUSED};
  (void)line;
  return index < sizeof registers ? registers[index] : BRIDGE_NONE;
}

const struct bridge_device i2c_device = {
  .kind = "i2c",
  .version = 1,
  .lines = 1,
  .fifo_width = 1,
  .fifo = DATA,
  .begin = begin,
  .poll = poll,
  .write = write,
  .read = read,
  .edges = edges,
  .frame = frame,
  .snapshot = snapshot,
  .waiting = waiting,
  .take = take,
  .is_busy = is_busy,
};
