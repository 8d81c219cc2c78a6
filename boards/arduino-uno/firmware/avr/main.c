/* The Uno: docs/hardware/arduino-uno.md. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "../core/bridge.h"
#include "../core/classes.h"
#include "../core/fields.h"
#include "clock.h"
#include "identity.h"
#include "uart.h"
#include "wake.h"

/* The watchdog stays on over a reset that it made itself, at its shortest time: off before anything else is done. */
void disable_watchdog(void) __attribute__((naked, used, section(".init3")));
void disable_watchdog(void)
{
  MCUSR = 0;
  wdt_disable();
}

#define FIRST_GPIO_LINE 1

static uint16_t lines(uint16_t listening)
{
  return listening ? (uint16_t)gpio_active_lines() << FIRST_GPIO_LINE : 0;
}

uint32_t classes_micros(void)
{
  return clock_micros();
}

static const struct bridge_device *const devices[] = {&i2c_device, &gpio_device, &adc_device};
static char unique_id[2 * IDENTITY_BYTES + 1];
static struct bridge_port port = {
  .read = uart_read,
  .write = uart_write,
  .micros = clock_micros,
  .lines = lines,
  .devices = devices,
  .device_count = 3,
  .name = "dirql-uno",
  .version = "1.0.0",
  .unique_id = unique_id,
  .retransmit_us = 3000 + (200UL * 10 * 1000000) / BAUD,
};

static void read_identity(void)
{
  uint8_t id[IDENTITY_BYTES];
  identity_unique_id(id);
  for (uint8_t i = 0; i < IDENTITY_BYTES; i++) {
    unique_id[2 * i] = field_nibble(id[i] >> 4);
    unique_id[2 * i + 1] = field_nibble(id[i]);
  }
  port.boot_count = identity_count_boot();
}

int main(void)
{
  wdt_enable(WDTO_1S);
  read_identity(); /* takes 20 ms: the UART would lose what comes meanwhile */
  clock_start();
  uart_start();
  sei();
  bridge_start(&port);
  set_sleep_mode(SLEEP_MODE_IDLE);
  for (;;) {
    wdt_reset();
    WOKEN = 0;
    if (bridge_poll()) continue;
    cli();
    if (WOKEN) {
      sei();
      continue;
    }
    sleep_enable();
    sei(); /* holds from behind the next instruction: no interrupt comes between the look and the sleep */
    sleep_cpu();
    sleep_disable();
  }
}
