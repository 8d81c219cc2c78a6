/* Fields of a line (docs/wire.md, 2 and 3): reading with every bound checked, digits, hex, the checksum. */
#ifndef DIRQL_FIELDS_H
#define DIRQL_FIELDS_H

#include <stdint.h>

/* The character of a digit 0 … 63. */
char field_digit(uint8_t value);
/* The value of a character as a digit, or -1. */
int8_t field_digit_value(char character);
/* The character of the lowest four bits. */
char field_nibble(uint8_t value);
/* Characters of a number in hex, without leading zeros. */
uint8_t field_hex_length(uint32_t value);

/* What is left of a line. After the first field that is wrong `good` is 0, and stays so. */
struct reader {
  const char *at;
  uint8_t left;
  uint8_t good;
};

uint8_t read_digit(struct reader *reader);
/* One to eight hex characters. */
uint32_t read_hex(struct reader *reader);
/* Exactly `digits` hex characters. */
uint32_t read_fixed(struct reader *reader, uint8_t digits);
void read_expect(struct reader *reader, char character);
/* Whether all was good and nothing is left. */
uint8_t read_ended(const struct reader *reader);

/* The state behind a number of 32 bits, lowest byte first. */
uint32_t crc_over_word(uint32_t state, uint32_t word);
/* Whether `line` ends in the checksum of `prefix` and itself. */
uint8_t crc_is_good(uint32_t prefix, const char *line, uint8_t length);
/* Character `index` (0 … 5) of a checksum, in this order: `rest` is the inverted state at first, then what is left. */
char crc_character(uint32_t *rest, uint8_t index);
#define CRC_LENGTH 6

#endif
