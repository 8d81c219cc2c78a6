#include "outbox.h"

#include <string.h>

#include "fields.h"
#include "inbox.h"

#define WINDOW 4
#define LOG_ROOM 40
#define ACK_SOON 1
#define ACK_NOW 2
#define ACK_DELAY_US 500 /* for another line to carry it */
#define NOBODY 0xff

/* A sequenced line. Its sequence number tells its slot: modulo 4. */
struct slot {
  uint32_t sent_at;
  uint8_t length;
  uint8_t is_sent; /* once at least */
  uint8_t is_held; /* by the host, out of order */
  char text[OUTBOX_ROOM];
};

static const struct bridge_port *port;
static struct slot slots[WINDOW];
static uint8_t base; /* oldest sequence number that is not acknowledged */
static uint8_t next; /* that of the next line */
static uint32_t session_prefix, hello_prefix;

/* What shall be said apart from sequenced lines. */
static uint8_t wants_newline, wants_up, wants_hello, log_length;
static uint8_t wants_ack; /* ACK_SOON, ACK_NOW */
static uint32_t ack_wanted_at;
static char log_text[LOG_ROOM];
static char plain_text[12];

/* The line that is on its way into the port: characters, acknowledgement, checksum, newline. */
enum part { PART_NONE, PART_TEXT, PART_ACK, PART_CRC, PART_NEWLINE };
static enum part part;
static const char *at;
static uint8_t left, has_ack, slot_under_way, is_log_under_way;
static uint32_t crc;
static char unsent; /* the character that the port has no room for, or 0 */

void outbox_start(const struct bridge_port *the_port)
{
  port = the_port;
  part = PART_NONE;
  wants_newline = 1;
  unsent = 0;
  wants_up = wants_hello = 0;
  outbox_begin(0);
}

void outbox_begin(uint32_t prefix)
{
  session_prefix = prefix;
  base = next = 0;
  wants_ack = log_length = 0;
  /* The rest of a line that was under way would be of no session: a newline makes garbage of it. */
  if (part != PART_NONE) wants_newline = 1;
  part = PART_NONE;
  slot_under_way = NOBODY;
  is_log_under_way = 0;
  memset(slots, 0, sizeof slots);
}

uint8_t outbox_room(void)
{
  const uint8_t out = (next - base) & 63;
  /* A slot whose line is acknowledged while it is sent again is free when that is done. */
  if (out < WINDOW && (next & (WINDOW - 1)) == slot_under_way) return 0;
  return WINDOW - out;
}

void outbox_open(char kind)
{
  struct slot *slot = &slots[next & (WINDOW - 1)];
  slot->length = 0;
  slot->is_sent = slot->is_held = 0;
  outbox_put(kind);
  outbox_put(field_digit(next));
}

void outbox_put(char character)
{
  struct slot *slot = &slots[next & (WINDOW - 1)];
  if (slot->length < OUTBOX_ROOM) slot->text[slot->length++] = character;
}

void outbox_put_fixed(uint32_t value, uint8_t digits)
{
  while (digits--) outbox_put(field_nibble((uint8_t)(value >> (4 * digits))));
}

void outbox_put_hex(uint32_t value)
{
  outbox_put_fixed(value, field_hex_length(value));
}

uint8_t outbox_left(void)
{
  return OUTBOX_ROOM - slots[next & (WINDOW - 1)].length;
}

void outbox_close(void)
{
  next = (next + 1) & 63;
}

uint8_t outbox_acknowledge(uint8_t ack)
{
  const uint8_t moved = ((ack >> BRIDGE_ACK_BITS) - base) & BRIDGE_ACK_MASK;
  const uint8_t out = (next - base) & 63;
  if (moved > out) return 0;
  for (uint8_t i = 0; i < moved; i++)
    if (!slots[(base + i) & (WINDOW - 1)].is_sent) return 0;
  base = (base + moved) & 63;
  for (uint8_t i = 1; i <= BRIDGE_ACK_BITS; i++)
    if ((ack >> (i - 1) & 1) && moved + i < out) slots[(base + i) & (WINDOW - 1)].is_held = 1;
  return 1;
}

void outbox_say_up(void)
{
  wants_up = 1;
}

void outbox_say_hello(uint32_t prefix)
{
  hello_prefix = prefix;
  wants_hello = 1;
}

void outbox_say_ack(uint8_t is_at_once)
{
  if (!wants_ack) ack_wanted_at = port->micros();
  if (is_at_once) wants_ack = ACK_NOW;
  else if (!wants_ack) wants_ack = ACK_SOON;
}

void outbox_say_log(const char *text)
{
  /* The one that is being sent is left alone. */
  if (is_log_under_way) return;
  log_text[0] = 'l';
  for (log_length = 1; log_length < LOG_ROOM && *text; text++) log_text[log_length++] = *text;
}

static void begin_line(const char *text, uint8_t length, uint8_t is_acked, uint32_t prefix)
{
  at = text;
  left = length;
  has_ack = is_acked;
  crc = prefix;
  part = PART_TEXT;
}

/* `b` and `h`: version and boot count. */
static void begin_greeting(char kind, uint32_t prefix)
{
  uint8_t digits = field_hex_length(port->boot_count);
  uint8_t length = 0;
  plain_text[length++] = kind;
  plain_text[length++] = field_digit(BRIDGE_VERSION);
  while (digits--) plain_text[length++] = field_nibble((uint8_t)(port->boot_count >> (4 * digits)));
  begin_line(plain_text, length, 0, prefix);
}

static void begin_slot(uint8_t number)
{
  struct slot *slot = &slots[number];
  if (slot->is_sent && bridge_counts.repeated != 0xffff) bridge_counts.repeated++;
  slot_under_way = number;
  begin_line(slot->text, slot->length, 1, session_prefix);
}

/* The oldest line whose time has come again, or else the oldest that was never sent. */
static uint8_t slot_to_send(void)
{
  const uint8_t out = (next - base) & 63;
  const uint32_t now = port->micros();
  uint8_t fresh = NOBODY;
  for (uint8_t i = 0; i < out; i++) {
    const uint8_t number = (base + i) & (WINDOW - 1);
    const struct slot *slot = &slots[number];
    if (!slot->is_sent) {
      if (fresh == NOBODY) fresh = number;
    } else if (!slot->is_held && now - slot->sent_at >= port->retransmit_us) {
      return number;
    }
  }
  return fresh;
}

/* Chooses the next line; 0 when there is nothing to say. */
static uint8_t choose(void)
{
  if (wants_newline) {
    wants_newline = 0;
    part = PART_NEWLINE;
  } else if (wants_hello) {
    wants_hello = 0;
    begin_greeting('h', hello_prefix);
  } else if (wants_up) {
    wants_up = 0;
    begin_greeting('b', BRIDGE_CRC_START);
  } else {
    const uint8_t number = slot_to_send();
    if (number != NOBODY) {
      begin_slot(number);
    } else if (wants_ack == ACK_NOW || (wants_ack && port->micros() - ack_wanted_at >= ACK_DELAY_US)) {
      plain_text[0] = 'a';
      begin_line(plain_text, 1, 1, session_prefix);
    } else if (log_length) {
      begin_line(log_text, log_length, 0, session_prefix);
      is_log_under_way = 1;
    } else {
      return 0;
    }
  }
  return 1;
}

static void ended(void)
{
  part = PART_NONE;
  if (slot_under_way != NOBODY) {
    slots[slot_under_way].is_sent = 1;
    slots[slot_under_way].sent_at = port->micros();
    slot_under_way = NOBODY;
  } else if (is_log_under_way) {
    is_log_under_way = 0;
    log_length = 0;
  }
}

static void begin_checksum(void)
{
  crc = ~crc;
  part = PART_CRC;
  left = CRC_LENGTH;
}

/* The character to send now; then the line is one further. */
static char take_character(void)
{
  char character = '\n';
  switch (part) {
    case PART_TEXT:
      character = *at++;
      crc = bridge_crc(crc, (uint8_t)character);
      if (--left) break;
      if (has_ack) part = PART_ACK;
      else begin_checksum();
      break;
    case PART_ACK:
      wants_ack = 0;
      character = field_digit(inbox_ack());
      crc = bridge_crc(crc, (uint8_t)character);
      begin_checksum();
      break;
    case PART_CRC:
      character = crc_character(&crc, CRC_LENGTH - left);
      if (--left == 0) part = PART_NEWLINE;
      break;
    default:
      ended();
  }
  return character;
}

void outbox_poll(void)
{
  if (!unsent && part == PART_NONE && !choose()) return;
  for (;;) {
    if (unsent && !port->write((uint8_t)unsent)) return;
    unsent = 0;
    if (part == PART_NONE) return;
    unsent = take_character();
  }
}

uint8_t outbox_is_busy(void)
{
  return unsent || part != PART_NONE || next != base || wants_ack || wants_newline || wants_hello || wants_up || log_length;
}
