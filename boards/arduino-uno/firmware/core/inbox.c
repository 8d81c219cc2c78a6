#include "inbox.h"

#include <string.h>

#include "fields.h"
#include "outbox.h"

#define WINDOW 4
#define LINE_ROOM 47 /* the newline not counted */
#define HELD_ROOM 39 /* without sequence number, acknowledgement and checksum */
#define TOO_LONG 0xff

/* A line that has come and was not carried out yet. Its sequence number tells its place: modulo 4. */
struct held {
  uint8_t length; /* 0: none */
  char text[HELD_ROOM];
};

static const struct bridge_port *port;
static struct held held[WINDOW];
static uint8_t next; /* sequence number of the line whose turn it is */
static uint32_t prefix, stale_prefix;

static char line[LINE_ROOM];
static uint8_t length; /* TOO_LONG also for a line with another byte in it */

struct bridge_counts bridge_counts;

static void count(uint16_t *counter)
{
  if (*counter != 0xffff) ++*counter;
}

void inbox_start(const struct bridge_port *the_port)
{
  port = the_port;
  length = 0;
  prefix = 0;
  inbox_begin(0);
}

void inbox_begin(uint32_t the_prefix)
{
  stale_prefix = prefix;
  prefix = the_prefix;
  next = 0;
  memset(held, 0, sizeof held);
}

uint8_t inbox_ack(void)
{
  uint8_t bits = 0;
  for (uint8_t i = 1; i <= BRIDGE_ACK_BITS; i++)
    if (held[(next + i) & (WINDOW - 1)].length) bits |= (uint8_t)(1 << (i - 1));
  return (uint8_t)((next & BRIDGE_ACK_MASK) << BRIDGE_ACK_BITS | bits);
}

const char *inbox_next(uint8_t *its_length)
{
  const struct held *first = &held[next & (WINDOW - 1)];
  *its_length = first->length;
  return first->length ? first->text : NULL;
}

void inbox_delivered(void)
{
  held[next & (WINDOW - 1)].length = 0;
  next = (next + 1) & 63;
  outbox_say_ack(0);
}

/* Keeps a line until its turn; a second copy of it says nothing new. */
static void hold(uint8_t sequence, uint8_t end)
{
  struct held *place = &held[sequence & (WINDOW - 1)];
  if (place->length) return;
  place->text[0] = line[0];
  memcpy(place->text + 1, line + 2, end - 2);
  place->length = end - 1;
  outbox_say_ack(0);
}

static void take_acknowledgement(char character)
{
  const int8_t ack = field_digit_value(character);
  if (ack < 0 || !outbox_acknowledge((uint8_t)ack)) count(&bridge_counts.damaged);
}

/* A line of this session: `kind seq payload ack`, up to `end`, where the acknowledgement stands. */
static void take_sequenced(uint8_t end)
{
  const int8_t sequence = end < 2 ? -1 : field_digit_value(line[1]);
  if (sequence < 0 || field_digit_value(line[end]) < 0 || end - 1 > HELD_ROOM) {
    bridge_error(BRIDGE_MALFORMED);
    return;
  }
  take_acknowledgement(line[end]);
  const uint8_t ahead = ((uint8_t)sequence - next) & 63;
  if (ahead < WINDOW) {
    hold((uint8_t)sequence, end);
  } else if (ahead >= 64 - WINDOW) {
    count(&bridge_counts.duplicate);
    outbox_say_ack(1);
  } else {
    count(&bridge_counts.damaged);
  }
}

static uint8_t is_host_line(void)
{
  return line[0] >= 'A' && line[0] <= 'Z';
}

static void take_session_line(void)
{
  if (!is_host_line() || !crc_is_good(prefix, line, length)) {
    count(crc_is_good(stale_prefix, line, length) ? &bridge_counts.stale : &bridge_counts.damaged);
    return;
  }
  const uint8_t end = length - CRC_LENGTH;
  if (line[0] != 'A') take_sequenced(end - 1);
  else if (end == 2) take_acknowledgement(line[1]);
  else bridge_error(BRIDGE_MALFORMED);
}

static void take_line(void)
{
  if (length == TOO_LONG) {
    count(&bridge_counts.damaged);
    if (!bridge_has_session()) bridge_garbage();
  } else if (line[0] == 'H' && crc_is_good(BRIDGE_CRC_START, line, length)) {
    bridge_hello(line + 1, length - CRC_LENGTH - 1);
  } else if (bridge_has_session()) {
    take_session_line();
  } else {
    bridge_garbage();
  }
}

uint8_t inbox_poll(void)
{
  for (int16_t byte = port->read(); byte >= 0; byte = port->read()) {
    if (byte == '\n') {
      if (length == 0) continue;
      take_line();
      length = 0;
      return 1;
    }
    if (byte < 0x20 || byte > 0x7e || length >= LINE_ROOM) length = TOO_LONG;
    else line[length++] = (char)byte;
  }
  return 0;
}
