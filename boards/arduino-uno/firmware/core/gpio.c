/* The gpio class (docs/hardware/gpio.md). */
#include "classes.h"
#include "pins.h"

enum { DIRECTION, OUTPUT, PULLUP, RISING, FALLING, INPUT, EDGE_PINS, TIME, PRESENT, EDGES = 16 };

static uint32_t direction, output, pullup, rising, falling;
static uint32_t counts[PINS];
static uint32_t edge_pins, edge_time;
static uint16_t new_edges[1 + PIN_LINES];
static uint8_t was_framed; /* `edge_pins` is with the host */

static uint32_t bit_of(uint8_t pin)
{
  return (uint32_t)1 << pin;
}

/* The line that a pin is of its own, or 0. */
static uint8_t line_of(uint8_t pin)
{
  for (uint8_t i = 0; i < PIN_LINES; i++)
    if (pin_lines[i].pin == pin) return i + 1;
  return 0;
}

static void apply_levels(void)
{
  pins_configure(direction & pins_present, output & pins_present, pullup & pins_present);
}

static void apply_edges(void)
{
  uint32_t others = pins_present;
  for (uint8_t i = 0; i < PIN_LINES; i++) others &= ~bit_of(pin_lines[i].pin);
  pins_watch(rising & others, falling & others);
}

static void begin(void)
{
  direction = output = rising = falling = edge_pins = edge_time = 0;
  pullup = pins_pulled_up;
  was_framed = 0;
  apply_levels();
  apply_edges();
  for (uint8_t pin = 0; pin < PINS; pin++) {
    (void)pins_take_edges(pin);
    counts[pin] = 0;
  }
  for (uint8_t i = 0; i <= PIN_LINES; i++) new_edges[i] = 0;
}

static void poll(void)
{
  if (was_framed) {
    was_framed = 0;
    edge_pins = 0;
  }
  if (!pins_have_edges()) return;
  for (uint8_t pin = 0; pin < PINS; pin++) {
    const uint16_t count = pins_take_edges(pin);
    if (!count) continue;
    const uint8_t line = line_of(pin);
    counts[pin] += count;
    new_edges[line] += count;
    if (line) continue;
    edge_pins |= bit_of(pin);
    edge_time = pins_edge_micros();
  }
}

static enum bridge_error write(uint16_t reg, uint32_t value)
{
  switch (reg) {
    case DIRECTION:
      direction = value;
      apply_levels();
      return BRIDGE_OK;
    case OUTPUT:
      output = value;
      apply_levels();
      return BRIDGE_OK;
    case PULLUP:
      pullup = value;
      apply_levels();
      return BRIDGE_OK;
    case RISING:
      rising = value;
      apply_edges();
      return BRIDGE_OK;
    case FALLING:
      falling = value;
      apply_edges();
      return BRIDGE_OK;
    default:
      return BRIDGE_NO_SUCH_THING;
  }
}

static enum bridge_error read(uint16_t reg, uint32_t *value)
{
  const uint32_t *const settings[] = {&direction, &output, &pullup, &rising, &falling};
  if (reg <= FALLING) *value = *settings[reg];
  else if (reg == INPUT) *value = pins_levels() & pins_present;
  else if (reg == EDGE_PINS) *value = edge_pins;
  else if (reg == TIME) *value = edge_time;
  else if (reg == PRESENT) *value = pins_present;
  else if (reg >= EDGES && reg < EDGES + PINS) *value = counts[reg - EDGES];
  else return BRIDGE_NO_SUCH_THING;
  return BRIDGE_OK;
}

static uint16_t edges(uint8_t line)
{
  const uint16_t count = new_edges[line];
  new_edges[line] = 0;
  return count;
}

static uint8_t frame(uint8_t line)
{
  if (line == 0) was_framed = 1;
  return 1;
}

/* INPUT, EDGE_PINS, TIME and the counts of the pins that are no lines; a pin's line has the pin's count. */
static uint16_t snapshot(uint8_t line, uint8_t index)
{
  if (line) return index ? BRIDGE_NONE : (uint16_t)(EDGES + pin_lines[line - 1].pin);
  if (index < 3) return (uint16_t)(INPUT + index);
  uint8_t pin = index - 3;
  for (uint8_t i = 0; i < PIN_LINES; i++)
    if (pin >= pin_lines[i].pin) pin++;
  return pin < PINS ? (uint16_t)(EDGES + pin) : BRIDGE_NONE;
}

uint8_t gpio_active_lines(void)
{
  const uint32_t levels = pins_levels();
  uint8_t lines = 0;
  for (uint8_t i = 0; i < PIN_LINES; i++) {
    const uint8_t is_high = (levels & bit_of(pin_lines[i].pin)) != 0;
    if (is_high == (pin_lines[i].active == PIN_HIGH)) lines |= (uint8_t)(2 << i);
  }
  return lines;
}

const struct bridge_device gpio_device = {
  .kind = "gpio",
  .version = 1,
  .lines = 1 + PIN_LINES,
  .level_lines = PIN_LEVEL_LINES,
  .fifo = BRIDGE_NONE,
  .begin = begin,
  .poll = poll,
  .write = write,
  .read = read,
  .edges = edges,
  .frame = frame,
  .snapshot = snapshot,
};
