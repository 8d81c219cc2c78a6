/* What the adc class needs of a converter. A port implements it. */
#ifndef DIRQL_CONVERTER_H
#define DIRQL_CONVERTER_H

#include <stdint.h>

struct sample {
  uint8_t channel;
  uint8_t ends_scan;
  uint16_t value;
};

/* The channels that are there, and the bits of a sample. */
extern const uint8_t converter_channels, converter_bits;

/* Samples `channels` every `period_us`, from now on; 0 channels: not any more. */
void converter_run(uint8_t channels, uint32_t period_us);
/* Holds from the next scan on. */
void converter_change(uint8_t channels, uint32_t period_us);
/* The oldest sample that was not taken; 0 when there is none. */
uint8_t converter_take(struct sample *sample);
/* Samples since the last call that nobody took in time. */
uint16_t converter_take_lost(void);
/* Converts once, while nothing runs. */
uint16_t converter_once(uint8_t channel);

#endif
