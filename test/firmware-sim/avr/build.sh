#!/bin/sh
# Builds the images of these tests with Debian's gcc-avr, binutils-avr and avr-libc.
set -e
cd "$(dirname "$0")"
for name in parts busy; do
  elf=$(mktemp)
  avr-gcc -std=c99 -Os -Wall -Wextra -mmcu=atmega328p -DF_CPU=16000000UL -o "$elf" "$name.c"
  avr-objcopy -O ihex -R .eeprom "$elf" "$name.hex"
  rm "$elf"
done
