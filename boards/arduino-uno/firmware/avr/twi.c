/* The two-wire interface as the only controller of its bus: a state machine in its interrupt (datasheet 22.7). */
#include "../core/twi.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/delay.h>
#include <util/twi.h>

#include "clock.h"

#define SDA _BV(PC4)
#define SCL _BV(PC5)
#define HALF_CLOCK_US 5
#define RISE_MOST_US 1000

/* What the main loop waits for; the interrupt moves RUNNING to ENDING, with `result` and STOP given. */
enum { IDLE, CHECKING, RUNNING, ENDING, ENDED };

static volatile uint8_t state;
static volatile uint8_t result;
static volatile uint8_t progress; /* interrupts so far: who stretches the clock makes it stand still */
static volatile uint8_t wants_abort;

/* The transaction. Of the interrupt while RUNNING. */
static uint8_t address, written, to_read, at;
static uint8_t *bytes;

static uint8_t is_set_up;
static uint16_t bit_us; /* rounded up */
static uint32_t waiting_since, wait_most_us;
static uint8_t seen_progress;

#define GO (_BV(TWINT) | _BV(TWEN) | _BV(TWIE))

static uint8_t are_lines_high(void)
{
  return (PINC & (SDA | SCL)) == (SDA | SCL);
}

void twi_setup(uint16_t speed_khz)
{
  TWCR = 0;
  state = IDLE;
  is_set_up = speed_khz != 0;
  DDRC &= (uint8_t) ~(SDA | SCL);
  if (!is_set_up) {
    PORTC &= (uint8_t) ~(SDA | SCL);
    return;
  }
  PORTC |= SDA | SCL; /* weak pull-ups, for a bus that has none of its own */
  /* SCL = F_CPU / (16 + 2 * TWBR * 4^TWPS), not faster than asked. */
  uint16_t rate = (uint16_t)((F_CPU / 1000 + speed_khz - 1) / speed_khz);
  rate = rate > 16 ? (rate - 16 + 1) / 2 : 0;
  uint8_t prescaler = 0;
  for (; rate > 255; prescaler++) rate = (rate + 3) / 4;
  TWSR = prescaler;
  TWBR = (uint8_t)rate;
  bit_us = 1000 / speed_khz + 1;
}

void twi_begin(uint8_t to, uint8_t *the_bytes, uint8_t to_write, uint8_t the_to_read, uint16_t timeout_ms)
{
  address = (uint8_t)(to << 1);
  bytes = the_bytes;
  written = to_write;
  to_read = the_to_read;
  at = 0;
  wants_abort = 0;
  wait_most_us = (uint32_t)timeout_ms * 1000;
  waiting_since = clock_micros();
  state = CHECKING;
}

static void end(uint8_t how)
{
  result = how;
  TWCR = GO | _BV(TWSTO);
  state = ENDING;
}

/* The next byte to write, or what follows the last one. */
static void write_on(void)
{
  if (wants_abort) {
    end(TWI_ABORTED);
  } else if (at < written) {
    TWDR = bytes[at++];
    TWCR = GO;
  } else if (to_read) {
    TWCR = GO | _BV(TWSTA);
  } else {
    end(TWI_DONE);
  }
}

/* Asks for the next byte; the last one is not acknowledged, so that the chip lets go of SDA. */
static void read_on(void)
{
  TWCR = at + 1 < to_read && !wants_abort ? GO | _BV(TWEA) : GO;
}

ISR(TWI_vect)
{
  progress++;
  switch (TW_STATUS) {
    case TW_START:
      TWDR = address | (written || !to_read ? TW_WRITE : TW_READ);
      TWCR = GO;
      break;
    case TW_REP_START:
      TWDR = address | TW_READ;
      TWCR = GO;
      break;
    case TW_MT_SLA_ACK:
    case TW_MT_DATA_ACK:
      write_on();
      break;
    case TW_MR_SLA_ACK:
      at = 0;
      read_on();
      break;
    case TW_MR_DATA_ACK:
      bytes[at++] = TWDR;
      read_on();
      break;
    case TW_MR_DATA_NACK:
      bytes[at++] = TWDR;
      end(at < to_read ? TWI_ABORTED : TWI_DONE);
      break;
    case TW_MT_SLA_NACK:
    case TW_MR_SLA_NACK:
      end(TWI_NACK_ADDRESS);
      break;
    case TW_MT_DATA_NACK:
      end(TWI_NACK_DATA);
      break;
    default:
      /* Arbitration lost or a bus error: there is no other controller, so a chip holds SDA where it should not. */
      end(TWI_STUCK);
  }
}

static void give_up(uint8_t how)
{
  TWCR = 0;
  result = how;
  state = ENDED;
}

/* Nothing was sent yet: both lines must be high before START. */
static void check(void)
{
  if (wants_abort) {
    give_up(TWI_ABORTED);
  } else if (are_lines_high()) {
    waiting_since = clock_micros();
    wait_most_us += 20UL * bit_us;
    state = RUNNING;
    TWCR = GO | _BV(TWSTA);
  } else if (clock_micros() - waiting_since >= wait_most_us) {
    give_up(TWI_STUCK);
  }
}

static void watch(void)
{
  const uint8_t now = progress;
  if (now != seen_progress) {
    seen_progress = now;
    waiting_since = clock_micros();
  } else if (clock_micros() - waiting_since >= wait_most_us) {
    cli();
    const uint8_t is_over = progress != now;
    if (!is_over) TWCR = 0;
    sei();
    if (!is_over) give_up(TWI_TIMEOUT);
  }
}

enum twi_result twi_poll(void)
{
  if (state == CHECKING) check();
  else if (state == RUNNING) watch();
  else if (state == ENDING && !(TWCR & _BV(TWSTO))) state = ENDED;
  else if (state == ENDING) watch(); /* a chip that holds SCL keeps STOP from being sent */
  if (state != ENDED) return TWI_RUNS;
  TWCR = 0;
  state = IDLE;
  return (enum twi_result)result;
}

void twi_abort(void)
{
  wants_abort = 1;
}

/* Lets go of a line, or pulls it. Both have their pull-up off while pulled. */
static void pull(uint8_t line)
{
  PORTC &= (uint8_t)~line;
  DDRC |= line;
}

static uint8_t let_go(uint8_t line)
{
  DDRC &= (uint8_t)~line;
  PORTC |= line;
  for (uint16_t us = 0; us < RISE_MOST_US; us++) {
    if (PINC & line) return 1;
    _delay_us(1);
  }
  return 0;
}

static uint8_t clock_nine_times(void)
{
  for (uint8_t i = 0; i < 9; i++) {
    pull(SCL);
    _delay_us(HALF_CLOCK_US);
    if (!let_go(SCL)) return 0;
    _delay_us(HALF_CLOCK_US);
  }
  return 1;
}

static void stop_by_hand(void)
{
  pull(SCL);
  _delay_us(HALF_CLOCK_US);
  pull(SDA);
  _delay_us(HALF_CLOCK_US);
  (void)let_go(SCL);
  _delay_us(HALF_CLOCK_US);
  (void)let_go(SDA);
  _delay_us(HALF_CLOCK_US);
}

void twi_recover(void)
{
  TWCR = 0;
  if (clock_nine_times()) stop_by_hand();
  result = are_lines_high() ? TWI_DONE : TWI_STUCK;
  if (!is_set_up) {
    PORTC &= (uint8_t) ~(SDA | SCL);
    DDRC &= (uint8_t) ~(SDA | SCL);
  }
  state = ENDED;
}
