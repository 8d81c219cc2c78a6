/* Constants that stay in flash where data and program are two memories. */
#ifndef DIRQL_FLASH_H
#define DIRQL_FLASH_H

#ifdef __AVR__
#include <avr/pgmspace.h>
#define FLASH PROGMEM
#define flash_u32(address) pgm_read_dword(address)
#define flash_u8(address) pgm_read_byte(address)
#define flash_text(address) ((const char *)pgm_read_ptr(address))
#else
#define FLASH
#define flash_u32(address) (*(address))
#define flash_u8(address) ((uint8_t) * (address))
#define flash_text(address) (*(address))
#endif

#endif
