// ST Nucleo-F446RE: what port/stm32f4 has to know of an STM32F446RE that gets 8 MHz from its ST-LINK. Sections: RM0390.
#ifndef CHIP_H
#define CHIP_H

#define CHIP_DEV_ID 0x421u // 33.6.1, DBGMCU_IDCODE

// Inputs of 2 MHz, which 6.3.2 recommends against jitter; VCO 360 MHz, and half of that. Nothing uses Q: 360 / 8 keeps
// the 48 MHz domain below its limit.
#define CHIP_PLL_M_HSE 4u
#define CHIP_PLL_M_HSI 8u
#define CHIP_PLL_N 180u
#define CHIP_PLL_P 2u
#define CHIP_PLL_Q 8u
#define CHIP_PLL_HZ 180000000u // the chip's maximum

#define CHIP_VOLTAGE_SCALE PWR_CR_VOS(3) // 5.4.1: scale 1
#define CHIP_HAS_OVER_DRIVE 1            // 5.1: needed above 168 MHz
#define CHIP_WAIT_STATES 5u              // 3.4.1: one per 30 MHz at 2.7 V and more, so 5 for 151 to 180 MHz

// Of the buses: APB1 45 MHz, APB2 90 MHz at most (6.2).
#define CHIP_APB1_DIVIDER 4u
#define CHIP_APB_PRESCALERS (RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2)

#endif
