// ST Nucleo-F411RE: what port/stm32f4 has to know of an STM32F411RE that gets 8 MHz from its ST-LINK. Sections: RM0383.
#ifndef CHIP_H
#define CHIP_H

#define CHIP_DEV_ID 0x431u // 23.6.1, DBGMCU_IDCODE

// Inputs of 2 MHz, which 6.3.2 recommends against jitter; VCO 400 MHz, and a quarter of that. Nothing uses Q: 400 / 9
// keeps the 48 MHz domain below its limit.
#define CHIP_PLL_M_HSE 4u
#define CHIP_PLL_M_HSI 8u
#define CHIP_PLL_N 200u
#define CHIP_PLL_P 4u
#define CHIP_PLL_Q 9u
#define CHIP_PLL_HZ 100000000u // the chip's maximum

#define CHIP_VOLTAGE_SCALE PWR_CR_VOS(3) // 5.4.1: scale 1, needed above 84 MHz
#define CHIP_HAS_OVER_DRIVE 0
#define CHIP_WAIT_STATES 3u // 3.4.1: at 2.7 V and more 3 for 91 to 100 MHz

// Of the buses: APB1 50 MHz, APB2 100 MHz at most (6.2).
#define CHIP_APB1_DIVIDER 2u
#define CHIP_APB_PRESCALERS RCC_CFGR_PPRE1_DIV2

#endif
