#include "devices.h"

#include <string.h>

#include "../core/classes.h"
#include "../core/converter.h"
#include "../core/pins.h"
#include "../core/twi.h"

uint32_t classes_micros(void)
{
  return hosted_micros();
}

/* --- the bus ----------------------------------------------------------------------------------------------------- */

#define MEMORY_ADDRESS 0x50
#define MEMORY_SIZE 32768
#define MEMORY_PAGE 64
#define THERMOMETER_ADDRESS 0x48

static uint8_t memory[MEMORY_SIZE];
static uint16_t memory_at;
static uint16_t thermometer[4] = {0x1900, 0x60a0, 0x4b00, 0x5000}; /* 25 °C; limits of 75 and 80 */
static uint8_t thermometer_at;
static enum twi_result twi_state = TWI_DONE;
static uint8_t turns_left; /* of the transaction that runs; 0 when none does */
#define TURNS 3

void twi_setup(uint16_t speed_khz)
{
  (void)speed_khz;
  turns_left = 0;
}

static enum twi_result use_memory(uint8_t *bytes, uint8_t written, uint8_t to_read)
{
  if (written == 1) return TWI_NACK_DATA; /* half an address: as good an error as any */
  if (written >= 2) memory_at = (uint16_t)(bytes[0] << 8 | bytes[1]) % MEMORY_SIZE;
  for (uint8_t i = 2; i < written; i++) {
    memory[memory_at] = bytes[i];
    memory_at = (uint16_t)((memory_at & ~(MEMORY_PAGE - 1)) | ((memory_at + 1) & (MEMORY_PAGE - 1)));
  }
  for (uint8_t i = 0; i < to_read; i++) {
    bytes[i] = memory[memory_at];
    memory_at = (memory_at + 1) % MEMORY_SIZE;
  }
  return TWI_DONE;
}

static enum twi_result use_thermometer(uint8_t *bytes, uint8_t written, uint8_t to_read)
{
  if (written) thermometer_at = bytes[0] & 3;
  if (written >= 3) thermometer[thermometer_at] = (uint16_t)(bytes[1] << 8 | bytes[2]);
  for (uint8_t i = 0; i < to_read; i++) bytes[i] = (uint8_t)(thermometer[thermometer_at] >> (i & 1 ? 0 : 8));
  return TWI_DONE;
}

void twi_begin(uint8_t address, uint8_t *bytes, uint8_t written, uint8_t to_read, uint16_t timeout_ms)
{
  (void)timeout_ms;
  turns_left = TURNS;
  if (address == MEMORY_ADDRESS) twi_state = use_memory(bytes, written, to_read);
  else if (address == THERMOMETER_ADDRESS) twi_state = use_thermometer(bytes, written, to_read);
  else twi_state = TWI_NACK_ADDRESS;
}

enum twi_result twi_poll(void)
{
  return turns_left && --turns_left == 0 ? twi_state : TWI_RUNS;
}

void twi_abort(void)
{
  if (turns_left) twi_state = TWI_ABORTED;
}

void twi_recover(void)
{
  turns_left = TURNS;
  twi_state = TWI_DONE;
}

/* --- pins -------------------------------------------------------------------------------------------------------- */

#define BUTTON_PIN 2
#define ALERT_PIN 3

const struct pin_line pin_lines[PIN_LINES] = {
  {.pin = BUTTON_PIN, .active = PIN_LOW},
  {.pin = ALERT_PIN, .active = PIN_LOW},
};
const uint32_t pins_present = 0x3fffc;
const uint32_t pins_pulled_up = 0x0000c;

static const uint8_t wires[][2] = {{4, BUTTON_PIN}, {7, ALERT_PIN}, {5, 6}};
static uint32_t levels, rising, falling, edge_micros;
static uint16_t edges[PINS];
static uint8_t have_edges;

static void see(uint32_t now)
{
  const uint32_t change = levels ^ now;
  const uint32_t own = (uint32_t)1 << BUTTON_PIN | (uint32_t)1 << ALERT_PIN;
  const uint32_t hits = (change & now & rising) | (change & ~now & (falling | own));
  levels = now;
  if (!hits) return;
  for (uint8_t pin = 0; pin < PINS; pin++) edges[pin] += hits >> pin & 1;
  have_edges = 1;
  edge_micros = hosted_micros();
}

void pins_configure(uint32_t direction, uint32_t output, uint32_t pullup)
{
  uint32_t now = (direction & output) | (~direction & pullup & pins_present);
  for (uint8_t i = 0; i < sizeof wires / sizeof wires[0]; i++) {
    const uint32_t from = (uint32_t)1 << wires[i][0], to = (uint32_t)1 << wires[i][1];
    if ((direction & from) && !(direction & to)) now = output & from ? now | to : now & ~to;
  }
  see(now);
}

void pins_watch(uint32_t rise, uint32_t fall)
{
  rising = rise;
  falling = fall;
}

uint32_t pins_levels(void)
{
  return levels;
}

uint8_t pins_have_edges(void)
{
  const uint8_t had = have_edges;
  have_edges = 0;
  return had;
}

uint16_t pins_take_edges(uint8_t pin)
{
  const uint16_t count = edges[pin];
  edges[pin] = 0;
  return count;
}

uint32_t pins_edge_micros(void)
{
  return edge_micros;
}

uint16_t hosted_lines(uint16_t listening)
{
  return listening ? (uint16_t)(gpio_active_lines() << 1) : 0;
}

/* --- the converter ----------------------------------------------------------------------------------------------- */

#define ROOM 64

const uint8_t converter_channels = 0x0f;
const uint8_t converter_bits = 10;

static struct sample ring[ROOM];
static uint8_t put, taken;
static uint16_t lost;
static uint8_t channels;
static uint32_t period, scan_at, scans;

static void convert(uint8_t channel, uint8_t ends_scan)
{
  if ((uint8_t)(put - taken) == ROOM) {
    lost++;
    return;
  }
  const struct sample sample = {channel, ends_scan, (uint16_t)(channel * 200 + scans % 100)};
  ring[put++ % ROOM] = sample;
}

static void scan(void)
{
  for (uint8_t channel = 0; channel < 8; channel++)
    if (channels >> channel & 1) convert(channel, channels >> channel == 1);
  scans++;
}

void converter_change(uint8_t the_channels, uint32_t period_us)
{
  channels = the_channels;
  period = period_us;
}

void converter_run(uint8_t the_channels, uint32_t period_us)
{
  converter_change(the_channels, period_us);
  scans = 0;
  scan_at = hosted_micros();
}

uint8_t converter_take(struct sample *sample)
{
  /* One scan a look: who looks late sees the scans that were missed one by one. */
  if (channels && put == taken && (int32_t)(hosted_micros() - scan_at) >= 0) {
    scan_at += period;
    scan();
  }
  if (put == taken) return 0;
  *sample = ring[taken++ % ROOM];
  return 1;
}

uint16_t converter_take_lost(void)
{
  const uint16_t count = lost;
  lost = 0;
  return count;
}

uint16_t converter_once(uint8_t channel)
{
  return (uint16_t)(channel * 200 + 7);
}

const struct bridge_device *const hosted_devices[3] = {&i2c_device, &gpio_device, &adc_device};
