/*
 * Any bytes at all on the wire: fuzz SEED COUNT feeds the core COUNT rounds of noise, of lines with good checksums that say
 * nonsense, and of good lines that were damaged. What the core sends must always be lines as docs/wire.md has them, and
 * after each stretch a hello must be answered. Built with sanitizers, which end it at the first wrong step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/fields.h"
#include "devices.h"

#define STRETCH 64 /* rounds between two hellos */
#define TURNS 24   /* of the core for each round */

static uint32_t state;

static uint32_t draw(void)
{
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

static uint32_t below(uint32_t limit)
{
  return draw() % limit;
}

/* --- the wire ---------------------------------------------------------------------------------------------------- */

static uint8_t to_board[4096];
static size_t to_board_put, to_board_taken;
static char from_board[73];
static size_t from_board_count;
static uint32_t now, lines_seen, hellos_seen, understood;
static uint32_t prefix = BRIDGE_CRC_START;
static uint8_t host_next; /* what the board waits for, as it says */
static uint8_t board_next; /* what the host waits for */

uint32_t hosted_micros(void)
{
  return now;
}

static int16_t read_byte(void)
{
  return to_board_taken < to_board_put ? to_board[to_board_taken++] : -1;
}

static void fail(const char *what)
{
  fprintf(stderr, "fuzz: %s: '%.*s'\n", what, (int)from_board_count, from_board);
  exit(1);
}

static void see_line(void)
{
  lines_seen++;
  if (!from_board_count) return;
  const char kind = from_board[0];
  if (!strchr("bhtisdwrela", kind)) fail("a line of no kind");
  if (kind == 'h') {
    hellos_seen++;
  } else if (kind != 'b' && crc_is_good(prefix, from_board, (uint8_t)from_board_count)) {
    understood++;
    if (kind != 'l') {
      const uint8_t ack = (uint8_t)field_digit_value(from_board[from_board_count - CRC_LENGTH - 1]);
      const uint8_t moved = ((ack >> BRIDGE_ACK_BITS) - host_next) & BRIDGE_ACK_MASK;
      if (moved <= 4) host_next = (host_next + moved) & 63;
    }
    /* A host that listens: what comes is acknowledged with the next line, so that the board's window moves. */
    if (kind != 'a' && kind != 'l' && field_digit_value(from_board[1]) == board_next) board_next = (board_next + 1) & 63;
  }
}

static uint8_t write_byte(uint8_t byte)
{
  if (below(50) == 0) return 0; /* a port that is full for a moment */
  if (byte == '\n') {
    see_line();
    from_board_count = 0;
    return 1;
  }
  if (byte < 0x20 || byte > 0x7e) fail("a byte that is no character");
  if (from_board_count >= 71) fail("a line that is too long");
  from_board[from_board_count++] = (char)byte;
  return 1;
}

static void put(uint8_t byte)
{
  if (to_board_put < sizeof to_board) to_board[to_board_put++] = byte;
}

/* Sends `length` characters, with the checksum of `with` behind them, and perhaps damaged. */
static void put_line(const char *text, size_t length, uint32_t with, uint8_t is_damaged)
{
  char line[128];
  memcpy(line, text, length);
  uint32_t crc = with;
  for (size_t i = 0; i < length; i++) crc = bridge_crc(crc, (uint8_t)text[i]);
  crc = ~crc;
  for (uint8_t i = 0; i < CRC_LENGTH; i++) line[length++] = crc_character(&crc, i);
  line[length++] = '\n';
  for (size_t i = 0; i < length; i++) {
    if (is_damaged && below(12) == 0) {
      switch (below(4)) {
        case 0:
          continue;
        case 1:
          put((uint8_t)draw());
          break;
        case 2:
          put((uint8_t)line[i]);
          break;
        default:
          line[i] ^= (char)(1 << below(7));
      }
    }
    put((uint8_t)line[i]);
  }
}

static void turn(uint32_t turns)
{
  while (turns--) {
    now += below(500);
    (void)bridge_poll();
  }
  if (to_board_taken == to_board_put) to_board_put = to_board_taken = 0;
}

/* --- what is said ------------------------------------------------------------------------------------------------ */

static void put_noise(void)
{
  for (uint32_t left = below(80); left; left--) put((uint8_t)(below(4) ? 0x20 + below(95) : draw()));
  if (below(2)) put('\n');
}

static const char payload_characters[] = "0123456789abcdefABLz=,+*-_ ";

/* What lets the devices do something: device, register, value. */
static const uint32_t useful[][3] = {
  {0, 0, 0x1900001}, {0, 1, 0x50}, {0, 1, 0x48}, {0, 1, 0x33}, {0, 2, 0},      {0, 2, 2},      {0, 3, 0},    {0, 3, 8},
  {0, 3, 64},        {0, 4, 0},    {0, 5, 1},    {0, 5, 1},    {0, 5, 2},      {0, 5, 4},      {0, 10, 3},   {1, 0, 0xffff0},
  {1, 1, 0x90},      {1, 1, 0},    {1, 1, 0x30}, {1, 3, ~0u},  {1, 4, ~0u},    {2, 0, 3},      {2, 0, 7},    {2, 0, 5},
  {2, 0, 0},         {2, 1, 0xf},  {2, 1, 1},    {2, 2, 500},  {2, 2, 0},      {2, 3, 50},     {2, 4, 250},
};

/* A payload of a known form with fields at random, or of no form. */
static size_t make_payload(char kind, char *text)
{
  const uint32_t device = below(8) ? below(3) : below(64), reg = below(8) ? below(40) : below(0x400);
  const uint32_t value = below(2) ? below(256) : draw();
  if (below(10) == 0) {
    size_t length = below(40);
    for (size_t i = 0; i < length; i++) text[i] = payload_characters[below(sizeof payload_characters - 1)];
    return length;
  }
  switch (kind) {
    case 'W':
      if (below(2)) {
        const uint32_t *write = useful[below(sizeof useful / sizeof useful[0])];
        return (size_t)sprintf(text, "%u%x=%x", write[0], write[1], write[2]);
      }
      return (size_t)sprintf(text, "%c%x=%x", field_digit((uint8_t)device), reg, value);
    case 'R':
      return (size_t)sprintf(text, "%c%x", field_digit((uint8_t)device), reg);
    case 'C':
      return (size_t)sprintf(text, "%c%x,%x", field_digit((uint8_t)device), device == 0 ? 4 : device == 2 ? 5 : reg, value);
    case 'E':
      return (size_t)sprintf(text, "%c%c", field_digit((uint8_t)below(7)), field_digit((uint8_t)draw()));
    case 'L':
    case 'M':
      return (size_t)sprintf(text, "%c", field_digit((uint8_t)below(7)));
    default: {
      size_t length = (size_t)sprintf(text, "%c4=", field_digit((uint8_t)device));
      for (uint32_t left = below(17); left; left--) length += (size_t)sprintf(text + length, "%02x", below(256));
      return length;
    }
  }
}

static void put_session_line(void)
{
  static const char kinds[] = "WWWWDDRRCELLMXA";
  char text[80];
  size_t length = 0;
  const char kind = kinds[below(sizeof kinds - 1)];
  text[length++] = kind;
  if (kind != 'A') text[length++] = field_digit(below(16) ? (uint8_t)(host_next + (below(3) ? 0 : below(4))) : (uint8_t)draw());
  if (kind != 'A') length += make_payload(kind, text + length);
  text[length++] = field_digit(below(16) ? (uint8_t)((board_next & BRIDGE_ACK_MASK) << BRIDGE_ACK_BITS) : (uint8_t)draw());
  put_line(text, length, prefix, below(8) == 0);
}

/* Puts a good line, and lets the board carry it out. */
static void say(const char *body, uint8_t length)
{
  char text[64];
  text[0] = body[0];
  text[1] = field_digit(host_next);
  memcpy(text + 2, body + 1, length - 1u);
  text[length + 1] = field_digit((uint8_t)((board_next & BRIDGE_ACK_MASK) << BRIDGE_ACK_BITS));
  put_line(text, length + 2u, prefix, below(40) == 0);
  turn(below(4) ? TURNS : 2);
}

/* A whole transaction of the i2c class; now and then one that is not as it should be. */
static void put_transaction(void)
{
  static const uint8_t addresses[] = {0x48, 0x50, 0x50, 0x50, 0x33};
  char body[64];
  const uint32_t count = below(17);
  const uint32_t told = below(10) ? count : below(80);
  say("W00=1900001", 11);
  say(body, (uint8_t)sprintf(body, "W01=%x", addresses[below(sizeof addresses)]));
  say(body, (uint8_t)sprintf(body, "W02=%x", told));
  say(body, (uint8_t)sprintf(body, "W03=%x", below(70)));
  int length = sprintf(body, "D04=");
  for (uint32_t i = 0; i < count; i++) length += sprintf(body + length, "%02x", below(256));
  for (uint32_t times = below(20) ? 1 : 6; count && times; times--) say(body, (uint8_t)length);
  say("W05=1", 5);
  if (below(3) == 0) say(body, (uint8_t)sprintf(body, "W05=%x", 1u << below(3)));
}

static void put_hello(uint32_t nonce, uint32_t boot)
{
  char text[16];
  const int length = sprintf(text, "H1%08x", nonce);
  put('\n');
  put_line(text, (size_t)length, BRIDGE_CRC_START, 0);
  prefix = crc_over_word(crc_over_word(BRIDGE_CRC_START, nonce), boot);
  host_next = board_next = 0;
}

int main(int count, char **arguments)
{
  const uint32_t seed = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 1;
  const uint32_t rounds = count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 10000;
  struct bridge_port port = {
    .read = read_byte,
    .write = write_byte,
    .micros = hosted_micros,
    .lines = hosted_lines,
    .devices = hosted_devices,
    .device_count = 3,
    .name = "dirql-fuzz",
    .version = "1.0.0",
    .unique_id = "-",
    .boot_count = seed,
    .retransmit_us = 5000,
  };
  state = seed * 2654435761u + 1;
  if (!state) state = 1;
  bridge_start(&port);
  for (uint32_t round = 0; round < rounds; round++) {
    if (round % STRETCH == STRETCH - 1) { /* the first of them are without a session */
      const uint32_t before = hellos_seen;
      put_hello(draw(), seed);
      turn(2000);
      if (hellos_seen == before) fail("a hello that was not answered");
    }
    if (below(4) == 0) put_noise();
    else if (below(6) == 0) put_transaction();
    else put_session_line();
    turn(TURNS);
  }
  printf("{\"fuzz\":\"firmware\",\"seed\":%u,\"rounds\":%u,\"lines\":%u,\"understood\":%u,\"damaged\":%u}\n", seed, rounds,
         lines_seen, understood, bridge_counts.damaged);
  return 0;
}
