#include "identity.h"

#include <avr/boot.h>
#include <avr/eeprom.h>

#define ID_ADDRESS 0
#define BOOTS_ADDRESS 16
#define BOOT_SLOTS 16
#define BOOT_SIZE 5 /* the count, and a check byte: a write that lost power does not count */

static uint8_t eeprom_byte(uint16_t address)
{
  return eeprom_read_byte((const uint8_t *)address);
}

/*
 * The bytes that were put into EEPROM for this purpose, or else the lot, wafer and place bytes of the signature row. The
 * ATmega328P has them although only the 328PB's datasheet says so.
 */
void identity_unique_id(uint8_t id[IDENTITY_BYTES])
{
  uint8_t all = 0xff;
  for (uint8_t i = 0; i < IDENTITY_BYTES; i++) {
    id[i] = eeprom_byte(ID_ADDRESS + i);
    all &= id[i];
  }
  if (all != 0xff) return;
  for (uint8_t i = 0; i < IDENTITY_BYTES; i++) id[i] = boot_signature_byte_get(0x0e + i);
  id[0] ^= boot_signature_byte_get(0x16);
  id[1] ^= boot_signature_byte_get(0x17);
}

static uint8_t check_of(uint32_t count)
{
  return (uint8_t)(0x5a ^ count ^ (count >> 8) ^ (count >> 16) ^ (count >> 24));
}

static uint16_t slot_address(uint32_t count)
{
  return BOOTS_ADDRESS + (uint16_t)(count % BOOT_SLOTS) * BOOT_SIZE;
}

/* The counts go round a ring of slots, so that a cell's 100 000 writes last for 1.6 million boots. */
uint32_t identity_count_boot(void)
{
  uint32_t newest = 0;
  for (uint8_t slot = 0; slot < BOOT_SLOTS; slot++) {
    const uint16_t address = slot_address(slot);
    const uint32_t count = eeprom_read_dword((const uint32_t *)address);
    if (eeprom_byte(address + 4) == check_of(count) && count % BOOT_SLOTS == slot && count > newest) newest = count;
  }
  newest++;
  eeprom_update_dword((uint32_t *)slot_address(newest), newest);
  eeprom_update_byte((uint8_t *)(slot_address(newest) + 4), check_of(newest));
  return newest;
}
