#include "bridge.h"

#include <stddef.h>
#include <string.h>

#include "fields.h"
#include "flash.h"
#include "inbox.h"
#include "outbox.h"

#define NOBODY 0xff
#define LINES_A_TURN 4
/* Short lines: where one byte in ten is damaged, 44 characters arrive once in a hundred times, 32 once in thirty. */
#define FRAME_ROOM 34 /* characters of `i`, */
#define PART_ROOM 24  /* and of `s`, before acknowledgement and checksum */
#define BYTES_A_LINE 8
#define ENTRIES_A_LINE 4
#define UP_EVERY_US 1000000UL
#define UP_AT_LEAST_US 20000UL
#define REPORT_EVERY_US 5000000UL

/* One interrupt line, of whatever device. */
struct line {
  uint32_t edges; /* that no frame has told */
  uint8_t device;
  uint8_t own;       /* its number within the device */
  uint8_t number;    /* of its next frame */
  uint8_t first_told; /* where its registers begin in `told` */
  uint8_t is_enabled;
  uint8_t is_in_flight;
  uint8_t has_told; /* a frame in this session */
};

static const struct bridge_port *port;
static struct line lines[BRIDGE_LINES];
static uint8_t line_count;
static uint32_t told[BRIDGE_TOLD]; /* values of the snapshots' registers in the frame that is made, or was told last */
static uint32_t credits[BRIDGE_DEVICES];

static uint16_t active; /* lines whose level is active in this turn */

static uint8_t has_session;
static uint32_t session_nonce;
static uint32_t up_at;     /* when `b` was said last */
static uint32_t frame_at;  /* board time of the frame before */
static uint16_t identity_at; /* character of the identity that goes next; BRIDGE_NONE when all were sent */
static uint8_t errors;     /* mask of codes that are to be said */
static uint32_t reported_at;
static struct bridge_counts reported;

/* The frame that is being put into lines. */
static uint8_t framing; /* its line, or NOBODY */
static uint32_t frame_pending, frame_time, frame_edges;

static const struct bridge_device *device_of(const struct line *line)
{
  return port->devices[line->device];
}

void bridge_start(const struct bridge_port *the_port)
{
  uint8_t told_count = 0;
  port = the_port;
  line_count = 0;
  has_session = 0;
  memset(lines, 0, sizeof lines);
  for (uint8_t device = 0; device < port->device_count; device++) {
    for (uint8_t own = 0; own < port->devices[device]->lines; own++) {
      struct line *line = &lines[line_count++];
      line->device = device;
      line->own = own;
      line->first_told = told_count;
      for (uint8_t i = 0; port->devices[device]->snapshot(own, i) != BRIDGE_NONE; i++) told_count++;
    }
    port->devices[device]->begin();
  }
  outbox_start(port);
  inbox_start(port);
  outbox_say_up();
  up_at = reported_at = port->micros();
}

uint8_t bridge_has_session(void)
{
  return has_session;
}

void bridge_error(enum bridge_error code)
{
  errors |= (uint8_t)(1 << code);
}

void bridge_log(const char *text)
{
  if (has_session) outbox_say_log(text);
}

/* --- hello ------------------------------------------------------------------------------------------------------- */

void bridge_garbage(void)
{
  const uint32_t now = port->micros();
  if (now - up_at < UP_AT_LEAST_US) return;
  up_at = now;
  outbox_say_up();
}

static void begin_session(uint32_t nonce, uint32_t hello_prefix)
{
  const uint32_t prefix = crc_over_word(hello_prefix, port->boot_count);
  has_session = 1;
  session_nonce = nonce;
  for (uint8_t i = 0; i < port->device_count; i++) {
    credits[i] = 0;
    port->devices[i]->begin();
  }
  for (uint8_t i = 0; i < line_count; i++) {
    struct line *line = &lines[i];
    line->edges = 0;
    line->number = 0;
    line->is_enabled = line->is_in_flight = line->has_told = 0;
    (void)device_of(line)->edges(line->own); /* those of the time before count for nobody */
  }
  framing = NOBODY;
  frame_at = 0;
  errors = 0;
  identity_at = 0;
  outbox_begin(prefix);
  inbox_begin(prefix);
}

void bridge_hello(const char *payload, uint8_t length)
{
  struct reader reader = {payload, length, 1};
  const uint8_t version = read_digit(&reader);
  const uint32_t nonce = read_fixed(&reader, 8);
  /* Another version's hello may go on in its own way; what its nonce would be is the prefix of the answer all the same. */
  const uint32_t hello_prefix = crc_over_word(BRIDGE_CRC_START, reader.good ? nonce : 0);
  if (version == BRIDGE_VERSION) {
    if (!read_ended(&reader)) {
      if (!has_session) bridge_garbage();
      return;
    }
    if (!has_session || nonce != session_nonce) begin_session(nonce, hello_prefix);
  }
  outbox_say_hello(hello_prefix);
}

/* The identity is never whole in memory: it is written from the start each time, and only a piece of it is kept. */
struct piece {
  uint16_t at, from, to;
};

static void put_in_piece(struct piece *piece, char character)
{
  if (piece->at >= piece->from && piece->at < piece->to) outbox_put(character);
  piece->at++;
}

static void put_word(struct piece *piece, const char *word)
{
  while (*word) put_in_piece(piece, *word++);
  put_in_piece(piece, ' ');
}

static void put_decimal(struct piece *piece, uint8_t number)
{
  if (number >= 10) put_in_piece(piece, (char)('0' + number / 10));
  put_in_piece(piece, (char)('0' + number % 10));
}

static void send_identity(void)
{
  struct piece piece = {0, identity_at, identity_at + 16};
  outbox_open('t');
  put_word(&piece, port->name);
  put_word(&piece, port->version);
  put_word(&piece, port->unique_id);
  for (uint8_t i = 0; i < port->device_count; i++) {
    const struct bridge_device *device = port->devices[i];
    if (i > 0) put_in_piece(&piece, ' ');
    for (const char *at = device->kind; *at; at++) put_in_piece(&piece, *at);
    put_in_piece(&piece, '.');
    put_decimal(&piece, device->version);
    put_in_piece(&piece, '/');
    put_decimal(&piece, device->lines);
  }
  outbox_close();
  identity_at = identity_at >= piece.at ? BRIDGE_NONE : (uint16_t)(identity_at + 16);
}

/* --- what the host asks ------------------------------------------------------------------------------------------ */

/* `dev reg`: the device, or NULL when there is none. */
static const struct bridge_device *read_register(struct reader *reader, uint8_t *number, uint16_t *reg)
{
  *number = read_digit(reader);
  const uint32_t value = read_hex(reader);
  if (value > 0x1ff) reader->good = 0;
  *reg = (uint16_t)value;
  return *number < port->device_count ? port->devices[*number] : NULL;
}

static enum bridge_error write_register(struct reader *reader, uint8_t is_bytes)
{
  uint8_t number;
  uint16_t reg;
  const struct bridge_device *device = read_register(reader, &number, &reg);
  read_expect(reader, '=');
  if (!is_bytes) {
    const uint32_t value = read_hex(reader);
    if (!read_ended(reader)) return BRIDGE_MALFORMED;
    return device ? device->write(reg, value) : BRIDGE_NO_SUCH_THING;
  }
  struct reader check = *reader;
  if (!check.good || check.left == 0) return BRIDGE_MALFORMED;
  while (check.left) (void)read_fixed(&check, 2);
  if (!check.good) return BRIDGE_MALFORMED;
  if (!device) return BRIDGE_NO_SUCH_THING;
  enum bridge_error worst = BRIDGE_OK;
  while (reader->left) {
    const enum bridge_error error = device->write(reg, read_fixed(reader, 2));
    if (error) worst = error;
  }
  return worst;
}

static enum bridge_error answer_read(struct reader *reader)
{
  uint8_t number;
  uint16_t reg;
  uint32_t value = 0xffffffff;
  const struct bridge_device *device = read_register(reader, &number, &reg);
  if (!read_ended(reader)) return BRIDGE_MALFORMED;
  if (device && device->refresh) device->refresh(reg);
  const enum bridge_error error = device ? device->read(reg, &value) : BRIDGE_NO_SUCH_THING;
  outbox_open('r');
  outbox_put_hex(error ? 0xffffffff : value);
  outbox_close();
  return error;
}

static enum bridge_error add_credit(struct reader *reader)
{
  uint8_t number;
  uint16_t reg;
  const struct bridge_device *device = read_register(reader, &number, &reg);
  read_expect(reader, ',');
  const uint32_t more = read_hex(reader);
  if (!read_ended(reader)) return BRIDGE_MALFORMED;
  if (!device || device->fifo != reg) return BRIDGE_NO_SUCH_THING;
  credits[number] = credits[number] + more < more ? 0xffffffff : credits[number] + more;
  return BRIDGE_OK;
}

static enum bridge_error control_line(char kind, struct reader *reader)
{
  const uint8_t number = read_digit(reader);
  const uint8_t frame = kind == 'E' ? read_digit(reader) : 0;
  if (!read_ended(reader)) return BRIDGE_MALFORMED;
  if (number >= line_count) return BRIDGE_NO_SUCH_THING;
  struct line *line = &lines[number];
  if (kind == 'E') {
    if (line->is_in_flight && frame == ((line->number - 1) & 63)) line->is_in_flight = 0;
  } else {
    line->is_enabled = kind == 'L';
    if (kind == 'M') line->is_in_flight = 0;
  }
  return BRIDGE_OK;
}

static enum bridge_error carry_out(char kind, struct reader *reader)
{
  switch (kind) {
    case 'W':
      return write_register(reader, 0);
    case 'D':
      return write_register(reader, 1);
    case 'R':
      return answer_read(reader);
    case 'C':
      return add_credit(reader);
    case 'E':
    case 'L':
    case 'M':
      return control_line(kind, reader);
    default:
      return BRIDGE_UNKNOWN_KIND;
  }
}

/* Carries out the lines whose turn it is. A question waits until its answer has room. */
static void deliver(void)
{
  uint8_t length;
  for (const char *text = inbox_next(&length); text; text = inbox_next(&length)) {
    struct reader reader = {text + 1, length - 1, 1};
    if (text[0] == 'R' && !outbox_room()) return;
    const enum bridge_error error = carry_out(text[0], &reader);
    if (error) bridge_error(error);
    inbox_delivered();
  }
}

/* --- what the board says ----------------------------------------------------------------------------------------- */

static const char text_1[] FLASH = "no such device, register or line";
static const char text_2[] FLASH = "FIFO was full";
static const char text_3[] FLASH = "FIFO ran over";
static const char text_4[] FLASH = "malformed line";
static const char text_5[] FLASH = "unknown kind of line";
static const char text_6[] FLASH = "no memory or time";
static const char text_7[] FLASH = "bus or chip does not work";
static const char *const error_texts[] FLASH = {text_1, text_2, text_3, text_4, text_5, text_6, text_7};

static void send_error(void)
{
  uint8_t code = 1;
  while (!(errors >> code & 1)) code++;
  errors &= (uint8_t)~(1 << code);
  outbox_open('e');
  outbox_put_fixed(code, 2);
  const char *text = flash_text(&error_texts[code - 1]);
  for (char character = (char)flash_u8(text); character; character = (char)flash_u8(++text)) outbox_put(character);
  outbox_close();
}

/* The values of a line's snapshot as they are now; what the host knows already needs not be told. */
static void take_snapshot(const struct line *line)
{
  const struct bridge_device *device = device_of(line);
  uint32_t *known = &told[line->first_told];
  uint32_t bit = 1;
  frame_pending = 0;
  for (uint8_t i = 0; bit; i++, bit <<= 1) {
    uint32_t value = 0;
    const uint16_t reg = device->snapshot(line->own, i);
    if (reg == BRIDGE_NONE) return;
    (void)device->read(reg, &value);
    if (line->has_told && known[i] == value) continue;
    known[i] = value;
    frame_pending |= bit;
  }
}

static uint8_t begin_frame(uint8_t number)
{
  struct line *line = &lines[number];
  if (!line->is_enabled || line->is_in_flight) return 0;
  const uint8_t is_level = device_of(line)->level_lines >> line->own & 1;
  if (!line->edges && !(is_level && (active >> number & 1))) return 0;
  if (!device_of(line)->frame(line->own)) return 0;
  take_snapshot(line);
  const uint32_t now = port->micros();
  frame_time = now - frame_at;
  frame_at = now;
  frame_edges = line->edges;
  line->edges = 0;
  line->is_in_flight = line->has_told = 1;
  line->number = (line->number + 1) & 63;
  framing = number;
  return 1;
}

static uint8_t entry_length(uint16_t reg, uint32_t value)
{
  return 2 + field_hex_length(reg) + field_hex_length(value);
}

/* Whether the registers that are still to be told fit into `room` characters. */
static uint8_t do_all_fit(const struct line *line, uint8_t room)
{
  uint32_t left = frame_pending;
  for (uint8_t i = 0; left; i++, left >>= 1) {
    if (!(left & 1)) continue;
    const uint8_t length = entry_length(device_of(line)->snapshot(line->own, i), told[line->first_told + i]);
    if (length > room) return 0;
    room -= length;
  }
  return 1;
}

/* Puts the frame, or what of it goes into one line, first registers first. */
static void continue_frame(void)
{
  const struct line *line = &lines[framing];
  uint8_t head = 4 + field_hex_length(frame_time);
  if (frame_edges != 1) head += 1 + field_hex_length(frame_edges);
  const uint8_t is_last = do_all_fit(line, FRAME_ROOM - head);
  uint8_t room = is_last ? FRAME_ROOM - head : PART_ROOM - 3;
  outbox_open(is_last ? 'i' : 's');
  outbox_put(field_digit(framing));
  if (is_last) {
    outbox_put(field_digit(line->number - 1));
    outbox_put_hex(frame_time);
    if (frame_edges != 1) {
      outbox_put('*');
      outbox_put_hex(frame_edges);
    }
  }
  uint32_t bit = 1;
  for (uint8_t i = 0; frame_pending; i++, bit <<= 1) {
    if (!(frame_pending & bit)) continue;
    const uint16_t reg = device_of(line)->snapshot(line->own, i);
    const uint32_t value = told[line->first_told + i];
    const uint8_t length = entry_length(reg, value);
    if (length > room) break;
    room -= length;
    frame_pending &= ~bit;
    outbox_put(',');
    outbox_put_hex(reg);
    outbox_put('=');
    outbox_put_hex(value);
  }
  outbox_close();
  if (is_last) framing = NOBODY;
}

/* Puts as many entries as the host can take and a line holds. */
static uint8_t send_entries(uint8_t number)
{
  const struct bridge_device *device = port->devices[number];
  if (device->fifo == BRIDGE_NONE || !credits[number]) return 0;
  uint8_t count = device->waiting();
  const uint8_t most = device->fifo_width == 1 ? BYTES_A_LINE : ENTRIES_A_LINE;
  if (!count) return 0;
  if (count > most) count = most;
  if (count > credits[number]) count = (uint8_t)credits[number];
  credits[number] -= count;
  outbox_open(device->fifo_width == 1 ? 'd' : 'w');
  outbox_put(field_digit(number));
  outbox_put_hex(device->fifo);
  outbox_put('=');
  for (uint8_t i = 0; i < count; i++) {
    if (device->fifo_width == 1) {
      outbox_put_fixed(device->take(), 2);
    } else {
      if (i) outbox_put(',');
      outbox_put_hex(device->take());
    }
  }
  outbox_close();
  return 1;
}

/* Lines and FIFOs take turns, so that neither a storm nor a stream shuts the others out. */
static uint8_t turn;

static uint8_t send_next(void)
{
  const uint8_t turns = line_count + port->device_count;
  for (uint8_t i = 0; i < turns; i++) {
    turn = turn + 1 < turns ? turn + 1 : 0;
    if (turn < line_count ? begin_frame(turn) : send_entries(turn - line_count)) return 1;
  }
  return 0;
}

/* One line a turn: what comes meanwhile must not wait until all is said. Gives 0 when there is nothing, or no room. */
static uint8_t say_what_there_is(void)
{
  if (!outbox_room()) return 0;
  if (identity_at != BRIDGE_NONE) send_identity();
  else if (errors) send_error();
  else if (framing != NOBODY) continue_frame();
  else return send_next();
  return 1;
}

static void look_at_lines(void)
{
  uint16_t listening = 0;
  for (uint8_t i = 0; i < line_count; i++) {
    lines[i].edges += device_of(&lines[i])->edges(lines[i].own);
    if (lines[i].is_enabled) listening |= (uint16_t)(1 << i);
  }
  active = port->lines(listening);
}

/* --- one turn ---------------------------------------------------------------------------------------------------- */

static char *append(char *at, const char *text, uint16_t number)
{
  uint16_t unit = 1;
  while (*text) *at++ = *text++;
  while (number / unit >= 10) unit *= 10;
  for (; unit; unit /= 10) *at++ = (char)('0' + number / unit % 10);
  return at;
}

/* Says, for people, how many lines were dropped and sent again. */
static void report_counts(void)
{
  char text[40];
  const uint32_t now = port->micros();
  if (now - reported_at < REPORT_EVERY_US || memcmp(&reported, &bridge_counts, sizeof reported) == 0) return;
  reported_at = now;
  reported = bridge_counts;
  char *at = append(text, "dropped ", bridge_counts.damaged);
  at = append(at, " stale ", bridge_counts.stale);
  at = append(at, " repeated ", bridge_counts.repeated);
  *at = 0;
  bridge_log(text);
}

static void keep_saying_up(void)
{
  const uint32_t now = port->micros();
  if (now - up_at < UP_EVERY_US) return;
  up_at = now;
  outbox_say_up();
}

static uint8_t is_busy(uint8_t has_said)
{
  if (has_said) return 1;
  for (uint8_t i = 0; i < port->device_count; i++)
    if (port->devices[i]->is_busy && port->devices[i]->is_busy()) return 1;
  return outbox_is_busy();
}

uint8_t bridge_poll(void)
{
  uint8_t has_said = 0;
  for (uint8_t i = 0; i < port->device_count; i++)
    if (port->devices[i]->poll) port->devices[i]->poll();
  look_at_lines();
  for (uint8_t i = 0; i < LINES_A_TURN && inbox_poll(); i++) deliver();
  if (has_session) {
    deliver(); /* what waited for room */
    has_said = say_what_there_is();
    report_counts();
  } else {
    keep_saying_up();
  }
  outbox_poll();
  return is_busy(has_said);
}
