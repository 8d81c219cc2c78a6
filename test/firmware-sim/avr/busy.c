/* Never sleeps: sieves primes, and blinks and counts by timer interrupts. What a benchmark of the processor runs. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <string.h>

static volatile uint16_t milliseconds;

ISR(TIMER0_COMPA_vect)
{
  milliseconds++;
  if ((milliseconds & 255) == 0) PINB = _BV(5);
}

static uint8_t sieve[1024];

static uint16_t primes(void)
{
  uint16_t count = 0;
  memset(sieve, 0, sizeof sieve);
  for (uint16_t n = 2; n < sizeof sieve; n++) {
    if (sieve[n]) continue;
    count++;
    for (uint16_t multiple = n + n; multiple < sizeof sieve; multiple += n) sieve[multiple] = 1;
  }
  return count;
}

int main(void)
{
  DDRB = _BV(5);
  OCR0A = 249;
  TCCR0A = _BV(WGM01);
  TCCR0B = _BV(CS01) | _BV(CS00);
  TIMSK0 = _BV(OCIE0A);
  UCSR0A = _BV(U2X0);
  UBRR0 = 16;
  UCSR0B = _BV(TXEN0);
  sei();
  for (;;) {
    uint16_t count = primes();
    while (!(UCSR0A & _BV(UDRE0))) continue;
    UDR0 = count == 172 ? 'p' : 'x';
  }
}
