// The board of boards/button: a button on pin 2 to ground, and the light of the board. Four registers and one line.

#include <DirqlBridge.h>
#include <EEPROM.h>

const uint8_t BUTTON_PIN = 2;
enum { STATE, PRESSES, TICK, LIGHT };

static uint32_t state, presses, tick, light;

// Of the interrupt.
static volatile uint16_t newPresses;
static volatile uint32_t pressedAt;

static void pressed() {
  newPresses++;
  pressedAt = micros();
}

static uint16_t takeEdges(uint8_t) {
  noInterrupts();
  const uint16_t count = newPresses;
  newPresses = 0;
  const uint32_t at = pressedAt;
  interrupts();
  if (count) {
    presses += count;
    tick = at;
  }
  return count;
}

static void beginSession() {
  presses = tick = light = 0;
  digitalWrite(LED_BUILTIN, LOW);
}

static enum bridge_error writeRegister(uint16_t reg, uint32_t value) {
  if (reg != LIGHT) return BRIDGE_NO_SUCH_THING;
  light = value;
  digitalWrite(LED_BUILTIN, value ? HIGH : LOW);
  return BRIDGE_OK;
}

static enum bridge_error readRegister(uint16_t reg, uint32_t *value) {
  const uint32_t registers[] = {state, presses, tick, light};
  if (reg > LIGHT) return BRIDGE_NO_SUCH_THING;
  *value = registers[reg];
  return BRIDGE_OK;
}

static uint8_t beginFrame(uint8_t) {
  state = digitalRead(BUTTON_PIN) == LOW;
  return 1;
}

static uint16_t snapshotOf(uint8_t, uint8_t index) {
  return index < 3 ? index : BRIDGE_NONE; // STATE, PRESSES, TICK
}

static struct bridge_device button;
static const struct bridge_device *const devices[] = {&button};

static uint32_t countBoot() {
  uint32_t count;
  EEPROM.get(0, count);
  EEPROM.put(0, ++count);
  return count;
}

void setup() {
  pinMode(BUTTON_PIN, INPUT_PULLUP);
  pinMode(LED_BUILTIN, OUTPUT);
  attachInterrupt(digitalPinToInterrupt(BUTTON_PIN), pressed, FALLING);

  button.kind = "raw"; // its registers stand in the board file
  button.version = 1;
  button.lines = 1;
  button.fifo = BRIDGE_NONE;
  button.begin = beginSession;
  button.write = writeRegister;
  button.read = readRegister;
  button.edges = takeEdges;
  button.frame = beginFrame;
  button.snapshot = snapshotOf;

  Serial.begin(115200);
  DirqlBridge::begin(Serial, 115200, "button", countBoot(), devices, 1);
}

void loop() {
  DirqlBridge::poll();
}
