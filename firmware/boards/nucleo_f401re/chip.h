// ST Nucleo-F401RE: what port/stm32f4 has to know of an STM32F401RE that gets 8 MHz from its ST-LINK. Sections: RM0368.
#ifndef CHIP_H
#define CHIP_H

#define CHIP_DEV_ID 0x433u // 23.6.1, DBGMCU_IDCODE of the STM32F401xD/E; the xB/C have 0x423 and less memory

// N must be 192 or more (6.3.2), so the inputs are 1 MHz and not the 2 MHz that have less jitter; VCO 336 MHz, and a
// quarter of that. Q gives 48 MHz, which nothing uses.
#define CHIP_PLL_M_HSE 8u
#define CHIP_PLL_M_HSI 16u
#define CHIP_PLL_N 336u
#define CHIP_PLL_P 4u
#define CHIP_PLL_Q 7u
#define CHIP_PLL_HZ 84000000u // the chip's maximum

#define CHIP_VOLTAGE_SCALE PWR_CR_VOS(2) // 5.4.1: scale 2, the highest of this chip
#define CHIP_HAS_OVER_DRIVE 0
#define CHIP_WAIT_STATES 2u // 3.4.1: at 2.7 V and more 2 for 61 to 84 MHz

// Of the buses: APB1 42 MHz, APB2 84 MHz at most (6.2).
#define CHIP_APB1_DIVIDER 2u
#define CHIP_APB_PRESCALERS RCC_CFGR_PPRE1_DIV2

#endif
