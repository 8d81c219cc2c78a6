/* Lines to the host: four that wait for their acknowledgement, and those that may be lost (docs/wire.md, 6). */
#ifndef DIRQL_OUTBOX_H
#define DIRQL_OUTBOX_H

#include <stdint.h>

#include "bridge.h"

/* Characters of a line without acknowledgement and checksum. Short lines arrive more often on a bad wire. */
#define OUTBOX_ROOM 40

void outbox_start(const struct bridge_port *port);
/* A session begins: nothing is out; lines carry the checksum of `prefix`. The answer to hello has the one of `hello`. */
void outbox_begin(uint32_t prefix);

/* Lines that can be opened now. */
uint8_t outbox_room(void);
/* Begins a sequenced line; there must be room. What is put follows; too much is cut. */
void outbox_open(char kind);
void outbox_put(char character);
void outbox_put_hex(uint32_t value);
void outbox_put_fixed(uint32_t value, uint8_t digits);
/* Characters that the open line still takes. */
uint8_t outbox_left(void);
void outbox_close(void);

/* What the host has received, as it says; 0 when that cannot be. */
uint8_t outbox_acknowledge(uint8_t ack);

/* Asks for lines that are not sequenced; each is sent once, as soon as may be. */
void outbox_say_up(void);
void outbox_say_hello(uint32_t hello_prefix);
/* An acknowledgement: soon, in whatever line goes, or at once. */
void outbox_say_ack(uint8_t is_at_once);
void outbox_say_log(const char *text);

/* Sends as much as the port takes now, of one line at most. */
void outbox_poll(void);
/* Whether something is out, or wants to be. */
uint8_t outbox_is_busy(void);

#endif
