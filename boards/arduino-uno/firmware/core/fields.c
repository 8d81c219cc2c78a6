#include "fields.h"

#include "bridge.h"
#include "flash.h"

char field_digit(uint8_t value)
{
  value &= 63;
  if (value < 10) return (char)('0' + value);
  if (value < 36) return (char)('A' + value - 10);
  if (value < 62) return (char)('a' + value - 36);
  return value == 62 ? '-' : '_';
}

int8_t field_digit_value(char character)
{
  if (character >= '0' && character <= '9') return (int8_t)(character - '0');
  if (character >= 'A' && character <= 'Z') return (int8_t)(character - 'A' + 10);
  if (character >= 'a' && character <= 'z') return (int8_t)(character - 'a' + 36);
  if (character == '-') return 62;
  return character == '_' ? 63 : -1;
}

char field_nibble(uint8_t value)
{
  value &= 15;
  return (char)(value < 10 ? '0' + value : 'a' + value - 10);
}

uint8_t field_hex_length(uint32_t value)
{
  uint8_t length = 1;
  while (value > 15) {
    value >>= 4;
    length++;
  }
  return length;
}

static int8_t nibble_value(char character)
{
  if (character >= '0' && character <= '9') return (int8_t)(character - '0');
  return character >= 'a' && character <= 'f' ? (int8_t)(character - 'a' + 10) : -1;
}

static void fail(struct reader *reader)
{
  reader->good = 0;
  reader->left = 0;
}

uint8_t read_digit(struct reader *reader)
{
  const int8_t value = reader->left ? field_digit_value(*reader->at) : -1;
  if (value < 0) {
    fail(reader);
    return 0;
  }
  reader->at++;
  reader->left--;
  return (uint8_t)value;
}

/* Up to `most` hex characters; gives how many there were. */
static uint8_t read_nibbles(struct reader *reader, uint8_t most, uint32_t *value)
{
  uint8_t count = 0;
  *value = 0;
  while (count < most && reader->left) {
    const int8_t nibble = nibble_value(*reader->at);
    if (nibble < 0) break;
    *value = *value << 4 | (uint8_t)nibble;
    reader->at++;
    reader->left--;
    count++;
  }
  return count;
}

uint32_t read_hex(struct reader *reader)
{
  uint32_t value;
  /* A ninth one is left over, and nothing that follows a number is a hex character. */
  if (!read_nibbles(reader, 8, &value)) fail(reader);
  return value;
}

uint32_t read_fixed(struct reader *reader, uint8_t digits)
{
  uint32_t value;
  if (read_nibbles(reader, digits, &value) != digits) fail(reader);
  return value;
}

void read_expect(struct reader *reader, char character)
{
  if (!reader->left || *reader->at != character) {
    fail(reader);
    return;
  }
  reader->at++;
  reader->left--;
}

uint8_t read_ended(const struct reader *reader)
{
  return reader->good && !reader->left;
}

/* What a byte does to the checksum is what its two halves do, together: 32 entries instead of 256. */
static const uint32_t crc_of_low[16] FLASH = {
  0x00000000, 0x77073096, 0xee0e612c, 0x990951ba, 0x076dc419, 0x706af48f, 0xe963a535, 0x9e6495a3,
  0x0edb8832, 0x79dcb8a4, 0xe0d5e91e, 0x97d2d988, 0x09b64c2b, 0x7eb17cbd, 0xe7b82d07, 0x90bf1d91,
};
static const uint32_t crc_of_high[16] FLASH = {
  0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
  0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t bridge_crc(uint32_t state, uint8_t byte)
{
  const uint8_t index = (uint8_t)state ^ byte;
  return state >> 8 ^ flash_u32(&crc_of_low[index & 15]) ^ flash_u32(&crc_of_high[index >> 4]);
}

uint32_t crc_over_word(uint32_t state, uint32_t word)
{
  for (uint8_t count = 0; count < 4; count++) {
    state = bridge_crc(state, (uint8_t)word);
    word >>= 8;
  }
  return state;
}

char crc_character(uint32_t *rest, uint8_t index)
{
  const uint8_t top = (uint8_t)(*rest >> 24);
  if (index == 0) {
    *rest <<= 2;
    return field_digit(top >> 6);
  }
  *rest <<= 6;
  return field_digit(top >> 2);
}

uint8_t crc_is_good(uint32_t prefix, const char *line, uint8_t length)
{
  if (length <= CRC_LENGTH) return 0;
  const char *const end = line + (length - CRC_LENGTH);
  uint32_t state = prefix;
  for (const char *at = line; at < end; at++) state = bridge_crc(state, (uint8_t)*at);
  uint32_t rest = ~state;
  for (uint8_t i = 0; i < CRC_LENGTH; i++)
    if (end[i] != crc_character(&rest, i)) return 0;
  return 1;
}
