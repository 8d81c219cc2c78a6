/*
 * Pins and their edges: D2 and D3 by the external interrupts, which keep even a pulse of 1 us, all others by pin change.
 * D0 to D7 are port D, D8 to D13 port B, A0 to A5 (14 to 19) port C.
 */
#include "../core/pins.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#include "clock.h"
#include "wake.h"

#define BUTTON_PIN 2
#define ALERT_PIN 3

const struct pin_line pin_lines[PIN_LINES] = {
  {.pin = BUTTON_PIN, .active = PIN_LOW},
  {.pin = ALERT_PIN, .active = PIN_LOW},
};

/* Not D0 and D1 (serial port), nor A4 and A5 (two-wire bus). */
const uint32_t pins_present = 0x3fffc;
const uint32_t pins_pulled_up = 0x0000c;

enum { PORT_B, PORT_C, PORT_D, PORTS };
#define BITS_D 0xfc
#define BITS_B 0x3f
#define BITS_C 0x0f

/* Of the interrupts. */
static volatile uint8_t levels[PORTS], rising[PORTS], falling[PORTS];
static volatile uint16_t edges[PINS];
static volatile uint8_t has_edges;
static volatile uint16_t edge_ticks;

static uint8_t part_of(uint32_t mask, uint8_t port)
{
  if (port == PORT_D) return (uint8_t)mask & BITS_D;
  return port == PORT_B ? (uint8_t)(mask >> 8) & BITS_B : (uint8_t)(mask >> 14) & BITS_C;
}

static uint8_t replaced(uint8_t old, uint8_t bits, uint8_t by)
{
  return (uint8_t)((old & ~bits) | by);
}

void pins_configure(uint32_t direction, uint32_t output, uint32_t pullup)
{
  const uint32_t high = (direction & output) | (~direction & pullup);
  const uint8_t before = SREG;
  cli();
  PORTD = replaced(PORTD, BITS_D, part_of(high, PORT_D));
  DDRD = replaced(DDRD, BITS_D, part_of(direction, PORT_D));
  PORTB = replaced(PORTB, BITS_B, part_of(high, PORT_B));
  DDRB = replaced(DDRB, BITS_B, part_of(direction, PORT_B));
  PORTC = replaced(PORTC, BITS_C, part_of(high, PORT_C));
  DDRC = replaced(DDRC, BITS_C, part_of(direction, PORT_C));
  SREG = before;
}

void pins_watch(uint32_t rise, uint32_t fall)
{
  const uint32_t any = rise | fall;
  const uint8_t before = SREG;
  cli();
  for (uint8_t port = 0; port < PORTS; port++) {
    rising[port] = part_of(rise, port);
    falling[port] = part_of(fall, port);
  }
  levels[PORT_B] = PINB;
  levels[PORT_C] = PINC;
  levels[PORT_D] = PIND;
  PCMSK0 = part_of(any, PORT_B);
  PCMSK1 = part_of(any, PORT_C);
  PCMSK2 = part_of(any, PORT_D);
  PCIFR = _BV(PCIF0) | _BV(PCIF1) | _BV(PCIF2); /* a change before this was one of another time */
  PCICR = _BV(PCIE0) | _BV(PCIE1) | _BV(PCIE2);
  if (!EIMSK) {
    EICRA = _BV(ISC11) | _BV(ISC01); /* falling edges of both: their active level is low */
    EIFR = _BV(INTF0) | _BV(INTF1);
    EIMSK = _BV(INT0) | _BV(INT1);
  }
  SREG = before;
}

static void count(uint8_t pin)
{
  edges[pin]++;
  has_edges = 1;
  wake();
}

ISR(INT0_vect)
{
  count(BUTTON_PIN);
}

ISR(INT1_vect)
{
  count(ALERT_PIN);
}

static inline void changed(uint8_t port, uint8_t now, uint8_t first_pin)
{
  const uint8_t change = levels[port] ^ now;
  uint8_t hits = (change & now & rising[port]) | (change & (uint8_t)~now & falling[port]);
  levels[port] = now;
  if (!hits) return;
  edge_ticks = TCNT1;
  for (uint8_t pin = first_pin; hits; pin++, hits >>= 1)
    if (hits & 1) count(pin);
}

ISR(PCINT0_vect)
{
  changed(PORT_B, PINB, 8);
}

ISR(PCINT1_vect)
{
  changed(PORT_C, PINC, 14);
}

ISR(PCINT2_vect)
{
  changed(PORT_D, PIND, 0);
}

uint32_t pins_levels(void)
{
  return (uint32_t)(PINC & BITS_C) << 14 | (uint32_t)(PINB & BITS_B) << 8 | (PIND & BITS_D);
}

uint8_t pins_have_edges(void)
{
  const uint8_t had = has_edges;
  /* An edge that comes behind this sets it again. */
  if (had) has_edges = 0;
  return had;
}

uint16_t pins_take_edges(uint8_t pin)
{
  const uint8_t before = SREG;
  cli();
  const uint16_t count_of_pin = edges[pin];
  edges[pin] = 0;
  SREG = before;
  return count_of_pin;
}

uint32_t pins_edge_micros(void)
{
  const uint8_t before = SREG;
  cli();
  const uint16_t ago = TCNT1 - edge_ticks;
  const uint32_t now = clock_micros();
  SREG = before;
  return now - (ago >> 1);
}
