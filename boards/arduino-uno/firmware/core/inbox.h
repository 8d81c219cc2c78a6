/* Lines from the host: put together, checked, brought into order (docs/wire.md, 1 and 6). */
#ifndef DIRQL_INBOX_H
#define DIRQL_INBOX_H

#include <stdint.h>

#include "bridge.h"

void inbox_start(const struct bridge_port *port);
/* A session begins: nothing was received; lines must have the checksum of `prefix`. */
void inbox_begin(uint32_t prefix);
/* Takes bytes up to the end of a line; gives 0 when there are no more. */
uint8_t inbox_poll(void);

/* The acknowledgement of this moment. */
uint8_t inbox_ack(void);
/* The line whose turn it is: its kind and payload; NULL when it has not come. */
const char *inbox_next(uint8_t *length);
/* That line was carried out. */
void inbox_delivered(void);

/* Of bridge.c: a good hello; a line that is none while there is no session. */
void bridge_hello(const char *payload, uint8_t length);
uint8_t bridge_has_session(void);
void bridge_garbage(void);

#endif
