/* The ADC: timer 1's compare B begins a scan, the interrupt of each conversion begins the next one of it. */
#include "../core/converter.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#include "wake.h"

const uint8_t converter_channels = 0x0f;
const uint8_t converter_bits = 10;

#define ROOM 16 /* a power of two */
#define ENDS_SCAN 0x8000
#define CHANNEL_SHIFT 12
#define REFERENCE _BV(REFS0) /* AVCC */
/* 125 kHz from 16 MHz: 13 clocks are 104 us. */
#define RUN (_BV(ADEN) | _BV(ADIE) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0))
#define TICKS_A_US 2
#define LONGEST_STEP 0x8000

/* Channel, end of scan and value. One writer each: put by the interrupt, taken by the main loop. */
static volatile uint16_t ring[ROOM];
static volatile uint8_t put, taken;
static volatile uint16_t lost;

/* What the scans are now, and what they will be from the next one on. */
static volatile uint8_t channels, scan_left, channel;
static volatile uint32_t period_ticks, ticks_left;

static void convert_next(void)
{
  channel = 0;
  while (!(scan_left >> channel & 1)) channel++;
  scan_left &= (uint8_t)~(1 << channel);
  ADMUX = REFERENCE | channel;
  ADCSRA = RUN | _BV(ADSC);
}

static void begin_scan(void)
{
  /* A scan that is not through yet goes on: the period is too short for it. */
  if (scan_left || (ADCSRA & _BV(ADSC))) return;
  scan_left = channels;
  if (scan_left) convert_next();
}

/* The compare unit reaches 32 ms: longer periods are made of several steps. */
static void step(void)
{
  const uint16_t next = ticks_left > LONGEST_STEP ? LONGEST_STEP : (uint16_t)ticks_left;
  ticks_left -= next;
  OCR1B += next;
}

ISR(TIMER1_COMPB_vect)
{
  if (!ticks_left) {
    begin_scan();
    ticks_left = period_ticks;
  }
  step();
}

ISR(ADC_vect)
{
  const uint16_t value = ADC;
  const uint8_t next = (put + 1) & (ROOM - 1);
  if (next == taken) {
    lost++;
  } else {
    ring[put] = (uint16_t)(channel << CHANNEL_SHIFT) | value | (scan_left ? 0 : ENDS_SCAN);
    put = next;
  }
  if (!scan_left) wake();
  if (scan_left) convert_next();
}

void converter_change(uint8_t the_channels, uint32_t period_us)
{
  const uint8_t before = SREG;
  cli();
  channels = the_channels;
  /* 35 minutes are enough, and do not wrap. */
  period_ticks = (period_us > 0x7fffffff ? 0x7fffffff : period_us) * TICKS_A_US;
  SREG = before;
}

void converter_run(uint8_t the_channels, uint32_t period_us)
{
  converter_change(the_channels, period_us);
  const uint8_t before = SREG;
  cli();
  TIMSK1 &= (uint8_t)~_BV(OCIE1B);
  ADCSRA = 0;
  scan_left = 0;
  if (the_channels) {
    OCR1B = TCNT1;
    begin_scan();
    ticks_left = period_ticks;
    step();
    TIFR1 = _BV(OCF1B);
    TIMSK1 |= _BV(OCIE1B);
  }
  SREG = before;
}

uint8_t converter_take(struct sample *sample)
{
  const uint8_t at = taken;
  if (at == put) return 0;
  const uint16_t entry = ring[at];
  taken = (at + 1) & (ROOM - 1);
  sample->channel = entry >> CHANNEL_SHIFT & 7;
  sample->ends_scan = (entry & ENDS_SCAN) != 0;
  sample->value = entry & 0x3ff;
  return 1;
}

uint16_t converter_take_lost(void)
{
  const uint8_t before = SREG;
  cli();
  const uint16_t count = lost;
  lost = 0;
  SREG = before;
  return count;
}

uint16_t converter_once(uint8_t the_channel)
{
  ADMUX = REFERENCE | the_channel;
  ADCSRA = (RUN & (uint8_t)~_BV(ADIE)) | _BV(ADSC);
  while (ADCSRA & _BV(ADSC)) {
  }
  const uint16_t value = ADC;
  ADCSRA = 0;
  return value;
}
