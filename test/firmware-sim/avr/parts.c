/* Shows each part of the microcontroller to a test: one letter in, one line out. Numbers are hexadecimal. */
#include <avr/boot.h>
#include <avr/eeprom.h>
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/delay.h>
#include <util/twi.h>

static uint8_t cause __attribute__((section(".noinit")));
static uint8_t kept __attribute__((section(".noinit")));

/* After a watchdog reset the watchdog runs on: it must be stopped before anything else. */
void early(void) __attribute__((naked, used, section(".init3")));
void early(void)
{
  cause = MCUSR;
  MCUSR = 0;
  wdt_disable();
}

static volatile uint8_t buffer[64], put;
static uint8_t taken;
static volatile uint16_t external0, external1, changes, ticks;
static volatile uint8_t woken;

ISR(USART_RX_vect) { buffer[put++ & 63] = UDR0; }
ISR(INT0_vect) { external0++; }
ISR(INT1_vect) { external1++; }
ISR(PCINT2_vect) { changes++; woken = 1; }
ISR(TIMER1_COMPA_vect) { ticks++; }

static void send(char c)
{
  while (!(UCSR0A & _BV(UDRE0))) continue;
  UDR0 = c;
}

static void text(const char *s)
{
  for (; pgm_read_byte(s); s++) send(pgm_read_byte(s));
}

static void digit(uint8_t n) { send(n < 10 ? '0' + n : 'a' + n - 10); }

static void byte(uint8_t n)
{
  digit(n >> 4);
  digit(n & 15);
}

static void number(uint16_t n)
{
  byte(n >> 8);
  byte(n);
}

static uint8_t receive(void)
{
  for (;;) {
    cli();
    if (taken != put) break;
    set_sleep_mode(SLEEP_MODE_IDLE);
    sleep_enable();
    sei(); /* the next instruction is executed before any interrupt: a byte that came meanwhile wakes it */
    sleep_cpu();
    sleep_disable();
  }
  uint8_t c = buffer[taken++ & 63];
  sei();
  return c;
}

/* Gives up after about 100 ms. */
static uint8_t twi(uint8_t control)
{
  TWCR = control | _BV(TWINT) | _BV(TWEN);
  for (uint16_t left = 50000; left; left--) {
    if (TWCR & _BV(TWINT)) return TW_STATUS;
    _delay_us(2);
  }
  return 0xee;
}

static uint8_t twi_byte(uint8_t value)
{
  TWDR = value;
  return twi(0);
}

static void twi_stop(void)
{
  TWCR = _BV(TWINT) | _BV(TWEN) | _BV(TWSTO);
  for (uint16_t left = 50000; left && (TWCR & _BV(TWSTO)); left--) continue;
}

/* Temperature: each status, and the two bytes. */
static void temperature(void)
{
  TWBR = 72; /* 100 kHz */
  byte(twi(_BV(TWSTA)));
  byte(twi_byte(0x48 << 1));
  byte(twi_byte(0));
  byte(twi(_BV(TWSTA)));
  byte(twi_byte(0x48 << 1 | 1));
  byte(twi(_BV(TWEA)));
  byte(TWDR);
  byte(twi(0));
  byte(TWDR);
  twi_stop();
}

/* A page of four bytes, and how often it was asked before it acknowledged again. */
static void page(void)
{
  uint16_t polls = 0;
  TWBR = 12; /* 400 kHz */
  byte(twi(_BV(TWSTA)));
  byte(twi_byte(0x50 << 1));
  twi_byte(0x01);
  twi_byte(0x00);
  for (uint8_t i = 0; i < 4; i++) byte(twi_byte(0xa0 + i));
  twi_stop();
  do {
    twi(_BV(TWSTA));
    polls++;
  } while (twi_byte(0x50 << 1) != TW_MT_SLA_ACK);
  twi_stop();
  number(polls);
}

/* Nine clocks by hand, as the I2C specification asks, then a START. */
static void recover(void)
{
  TWCR = 0;
  PORTC &= ~(_BV(4) | _BV(5));
  DDRC &= ~(_BV(4) | _BV(5));
  uint8_t clocks = 0;
  while (!(PINC & _BV(4)) && clocks < 9) {
    DDRC |= _BV(5);
    _delay_us(5);
    DDRC &= ~_BV(5);
    _delay_us(5);
    clocks++;
  }
  byte(clocks);
  byte(twi(_BV(TWSTA)));
  twi_stop();
}

static void boots(void)
{
  uint8_t count = eeprom_read_byte((uint8_t *)3) + 1;
  eeprom_write_byte((uint8_t *)3, count);
  eeprom_busy_wait();
  byte(eeprom_read_byte((uint8_t *)3));
}

static void converter(void)
{
  ADMUX = _BV(REFS0) | 2;
  ADCSRA = _BV(ADEN) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0);
  for (uint8_t i = 0; i < 2; i++) {
    TCNT1 = 0;
    ADCSRA |= _BV(ADSC);
    while (ADCSRA & _BV(ADSC)) continue;
    number(TCNT1);
    number(ADC);
  }
}

/* A change that comes with interrupts off is taken by the SLEEP behind SEI, which returns at once. */
static void race(void)
{
  woken = 0;
  DDRD |= _BV(4);
  PCMSK2 = _BV(4);
  PCICR = _BV(PCIE2);
  cli();
  TCNT1 = 0;
  PIND = _BV(4);
  sleep_enable();
  sei();
  sleep_cpu();
  sleep_disable();
  byte(woken);
  PCICR = 0;
}

static void command(uint8_t c)
{
  switch (c) {
  case 'b': boots(); break;
  case 'c': byte(cause); byte(kept); break;
  case 'k': kept = 0x5a; break;
  case 'w': wdt_enable(WDTO_60MS); for (;;) continue;
  case 'n': cli(); for (;;) sleep_mode();
  case 't': temperature(); break;
  case 'p': page(); break;
  case 'r': recover(); break;
  case 'a': converter(); break;
  case 's': race(); break;
  case 'g': for (uint8_t i = 0; i < 6; i += 2) byte(boot_signature_byte_get(i)); break;
  case 'u': for (uint8_t i = 0x0e; i < 0x18; i++) byte(boot_signature_byte_get(i)); break;
  case 'i':
    PORTD |= _BV(2) | _BV(3);
    EICRA = _BV(ISC01) | _BV(ISC10); /* D2 falling, D3 any change */
    EIFR = _BV(INTF0) | _BV(INTF1);
    EIMSK = _BV(INT0) | _BV(INT1);
    PCMSK2 = _BV(5);
    PCIFR = _BV(PCIF2);
    PCICR = _BV(PCIE2);
    break;
  case 'm': EIMSK = 0; break;
  case 'M': EIMSK = _BV(INT0) | _BV(INT1); break;
  case 'j': number(external0); number(external1); number(changes); break;
  case 'x': DDRB |= _BV(5); PINB = _BV(5); break;
  case 'f': /* every 250 counts of 4 us */
    ticks = 0;
    OCR1A = 249;
    TCCR1B = _BV(WGM12) | _BV(CS11) | _BV(CS10);
    TCNT1 = 0;
    TIFR1 = _BV(OCF1A);
    TIMSK1 = _BV(OCIE1A);
    break;
  case 'o': /* an overflow, cleared by name: the other flags stay */
    TCCR1B = 0;
    OCR1A = 5;
    TCNT1 = 0xfffe;
    TIFR1 = _BV(OCF1A) | _BV(OCF1B) | _BV(TOV1);
    TCCR1B = _BV(CS10);
    _delay_us(10);
    TIFR1 = _BV(OCF1A);
    byte(TIFR1);
    TIFR1 = _BV(TOV1);
    byte(TIFR1);
    break;
  case 'q': cli(); number(ticks); number(TCNT1); number(TIFR1); sei(); break;
  case 'z': _delay_us(1000); break;
  default: send('?');
  }
}

int main(void)
{
  UCSR0A = _BV(U2X0);
  UBRR0 = 16; /* 115200 */
  UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
  TCCR1B = _BV(CS10);
  sei();
  text(PSTR("ready\n"));
  for (;;) {
    uint8_t c = receive();
    send(c);
    command(c);
    send('\n');
  }
}
