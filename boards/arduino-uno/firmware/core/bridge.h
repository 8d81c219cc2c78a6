/*
 * The board's end of the bridge protocol, version 1 (docs/wire.md): a portable core without dynamic memory.
 *
 * A port gives it four callbacks and a table of devices, calls bridge_start once and bridge_poll for ever. Nothing here
 * is called from an interrupt, and nothing here knows a microcontroller.
 */
#ifndef DIRQL_BRIDGE_H
#define DIRQL_BRIDGE_H

#include <stdint.h>

#define BRIDGE_VERSION 1

/* An acknowledgement: the sequence number that is waited for, modulo 16, and two bits of what is held behind it. */
#define BRIDGE_ACK_MASK 15
#define BRIDGE_ACK_BITS 2

/* Bounds of the tables: a port may set smaller or larger ones. */
#ifndef BRIDGE_DEVICES
#define BRIDGE_DEVICES 4
#endif
#ifndef BRIDGE_LINES
#define BRIDGE_LINES 8 /* at most 16: a line is a bit of a mask */
#endif
#ifndef BRIDGE_TOLD
#define BRIDGE_TOLD 40 /* registers in snapshots, of all lines together */
#endif

#define BRIDGE_NONE 0xffffU

/* What a board is to the core. */
struct bridge_port {
  /* The next byte from the host, or -1. */
  int16_t (*read)(void);
  /* Sends a byte; 0 when there is no room now: the core offers it again. */
  uint8_t (*write)(uint8_t byte);
  /* Microseconds; wraps at 32 bits. */
  uint32_t (*micros)(void);
  /*
   * Line masks: is told the lines that the host listens to (bit = number of the line over all devices), gives those whose
   * level is active now. A board without level-triggered lines gives 0.
   */
  uint16_t (*lines)(uint16_t listening);

  const struct bridge_device *const *devices;
  uint8_t device_count;
  const char *name;      /* of the firmware: one word */
  const char *version;   /* of the firmware: one word */
  const char *unique_id; /* one word, "-" for none */
  uint32_t boot_count;   /* differs from boot to boot */
  uint32_t retransmit_us; /* T of docs/wire.md, 7 */
};

/* Codes of the protocol's errors; 0 is no error. */
enum bridge_error {
  BRIDGE_OK = 0,
  BRIDGE_NO_SUCH_THING = 1,
  BRIDGE_FIFO_FULL = 2,
  BRIDGE_FIFO_OVERRUN = 3,
  BRIDGE_MALFORMED = 4,
  BRIDGE_UNKNOWN_KIND = 5,
  BRIDGE_NO_ROOM = 6,
  BRIDGE_BUS_FAULT = 7
};

/* What a device is to the core. Registers are numbered (offset / 4), lines are counted from 0 within the device. */
struct bridge_device {
  const char *kind; /* the device's class */
  uint8_t version;  /* of the class */
  uint8_t lines;
  uint8_t level_lines; /* mask of those that are level-triggered */
  uint8_t fifo_width;  /* bytes of an entry: 1 or 4 */
  uint16_t fifo;       /* the register whose entries go to the host, or BRIDGE_NONE */

  /* A session begins: reset values, counts 0, what was being done is aborted. */
  void (*begin)(void);
  /* Called over and over; may do a little work. NULL where there is none. */
  void (*poll)(void);
  enum bridge_error (*write)(uint16_t reg, uint32_t value);
  enum bridge_error (*read)(uint16_t reg, uint32_t *value);
  /* The host asks for the register as it is now: read follows. NULL where read always gives that. */
  void (*refresh)(uint16_t reg);

  /* Edges of a line since the last call. */
  uint16_t (*edges)(uint8_t line);
  /* A frame of the line is about to be made: 0 if it must wait; else the registers are as at one moment. */
  uint8_t (*frame)(uint8_t line);
  /* The registers of the line's snapshot by index, in the board file's order; BRIDGE_NONE behind the last. */
  uint16_t (*snapshot)(uint8_t line, uint8_t index);

  /* Entries that wait for the host, and the oldest of them. NULL where `fifo` is BRIDGE_NONE. */
  uint8_t (*waiting)(void);
  uint32_t (*take)(void);

  /* Whether poll must be called without delay. NULL where it need never. */
  uint8_t (*is_busy)(void);
};

void bridge_start(const struct bridge_port *port);
/*
 * One turn: takes what came, carries it out, sends what there is. Never waits. Gives 0 when the next turn can wait for an
 * interrupt (a byte, an edge, a sample, or a second of time).
 */
uint8_t bridge_poll(void);

/* For devices: says `e`. Of several with one code before the first could be sent, one is sent. */
void bridge_error(enum bridge_error code);
/* For devices: a text of at most 24 characters for people. One at a time: another one replaces it. */
void bridge_log(const char *text);

/* Lines that came and were dropped, since the start; they stop at 65535. */
struct bridge_counts {
  uint16_t damaged;   /* too long, another byte, no good checksum, an acknowledgement that cannot be */
  uint16_t stale;     /* of the session before */
  uint16_t duplicate; /* had come already */
  uint16_t repeated;  /* lines sent again */
};
extern struct bridge_counts bridge_counts;

/* The checksum's state behind one byte; it begins as BRIDGE_CRC_START and ends inverted. */
#define BRIDGE_CRC_START 0xffffffffUL
uint32_t bridge_crc(uint32_t state, uint8_t byte);

#endif
