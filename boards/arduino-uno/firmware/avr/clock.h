/* Timer 1 counts half microseconds and never stops; its compare B is the ADC's. */
#ifndef DIRQL_AVR_CLOCK_H
#define DIRQL_AVR_CLOCK_H

#include <stdint.h>

void clock_start(void);
/* Microseconds since reset; wraps at 32 bits. Callable with interrupts on or off. */
uint32_t clock_micros(void);

#endif
