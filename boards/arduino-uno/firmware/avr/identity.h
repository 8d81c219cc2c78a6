/* Who this board is, and how often it was started: in EEPROM. */
#ifndef DIRQL_AVR_IDENTITY_H
#define DIRQL_AVR_IDENTITY_H

#include <stdint.h>

/* EEPROM: 8 bytes of unique id (all ones: none given), then the ring of boot counts. */
#define IDENTITY_BYTES 8

void identity_unique_id(uint8_t id[IDENTITY_BYTES]);
/* Counts this boot and gives the count, from 1 on. */
uint32_t identity_count_boot(void);

#endif
