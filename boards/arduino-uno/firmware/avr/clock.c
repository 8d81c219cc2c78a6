#include "clock.h"

#include <avr/interrupt.h>
#include <avr/io.h>

static volatile uint32_t overflows;

void clock_start(void)
{
  TCCR1A = 0;
  TCCR1B = _BV(CS11);
  TIMSK1 |= _BV(TOIE1);
}

ISR(TIMER1_OVF_vect)
{
  overflows++;
}

uint32_t clock_micros(void)
{
  const uint8_t before = SREG;
  cli();
  uint32_t high = overflows;
  uint16_t low = TCNT1;
  /* An overflow that has not been taken yet: look again, for it may have come after the first look. */
  if (TIFR1 & _BV(TOV1)) {
    low = TCNT1;
    high++;
  }
  SREG = before;
  return (high << 15) | (low >> 1);
}
