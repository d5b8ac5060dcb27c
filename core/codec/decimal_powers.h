/* SPDX-License-Identifier: Apache-2.0 */
/* decimal_powers.h — the first 128 bits of 5^q for q in −64..64; for decimal.c and json_floats.c.
 *
 * Each is scaled to have its highest bit set; rounded down for q >= 0, up for q < 0, as
 * D. Lemire, "Number Parsing at a Gigabyte per Second" (2021), table and theorems, has them.
 * tests/unit/codec/test_decimal.c checks what they yield against the C library.
 */
#ifndef CODEC_DECIMAL_POWERS_H
#define CODEC_DECIMAL_POWERS_H

#include <stdint.h>

enum { POWER_MIN = -64, POWER_MAX = 64 };

struct power_of_five {
    uint64_t high;
    uint64_t low;
};

/* clang-format off */
static const struct power_of_five powers_of_five[POWER_MAX - POWER_MIN + 1] = {
    {0xa87fea27a539e9a5ull, 0x3f2398d747b36224ull}, /* -64 */
    {0xd29fe4b18e88640eull, 0x8eec7f0d19a03aadull}, /* -63 */
    {0x83a3eeeef9153e89ull, 0x1953cf68300424acull}, /* -62 */
    {0xa48ceaaab75a8e2bull, 0x5fa8c3423c052dd7ull}, /* -61 */
    {0xcdb02555653131b6ull, 0x3792f412cb06794dull}, /* -60 */
    {0x808e17555f3ebf11ull, 0xe2bbd88bbee40bd0ull}, /* -59 */
    {0xa0b19d2ab70e6ed6ull, 0x5b6aceaeae9d0ec4ull}, /* -58 */
    {0xc8de047564d20a8bull, 0xf245825a5a445275ull}, /* -57 */
    {0xfb158592be068d2eull, 0xeed6e2f0f0d56712ull}, /* -56 */
    {0x9ced737bb6c4183dull, 0x55464dd69685606bull}, /* -55 */
    {0xc428d05aa4751e4cull, 0xaa97e14c3c26b886ull}, /* -54 */
    {0xf53304714d9265dfull, 0xd53dd99f4b3066a8ull}, /* -53 */
    {0x993fe2c6d07b7fabull, 0xe546a8038efe4029ull}, /* -52 */
    {0xbf8fdb78849a5f96ull, 0xde98520472bdd033ull}, /* -51 */
    {0xef73d256a5c0f77cull, 0x963e66858f6d4440ull}, /* -50 */
    {0x95a8637627989aadull, 0xdde7001379a44aa8ull}, /* -49 */
    {0xbb127c53b17ec159ull, 0x5560c018580d5d52ull}, /* -48 */
    {0xe9d71b689dde71afull, 0xaab8f01e6e10b4a6ull}, /* -47 */
    {0x9226712162ab070dull, 0xcab3961304ca70e8ull}, /* -46 */
    {0xb6b00d69bb55c8d1ull, 0x3d607b97c5fd0d22ull}, /* -45 */
    {0xe45c10c42a2b3b05ull, 0x8cb89a7db77c506aull}, /* -44 */
    {0x8eb98a7a9a5b04e3ull, 0x77f3608e92adb242ull}, /* -43 */
    {0xb267ed1940f1c61cull, 0x55f038b237591ed3ull}, /* -42 */
    {0xdf01e85f912e37a3ull, 0x6b6c46dec52f6688ull}, /* -41 */
    {0x8b61313bbabce2c6ull, 0x2323ac4b3b3da015ull}, /* -40 */
    {0xae397d8aa96c1b77ull, 0xabec975e0a0d081aull}, /* -39 */
    {0xd9c7dced53c72255ull, 0x96e7bd358c904a21ull}, /* -38 */
    {0x881cea14545c7575ull, 0x7e50d64177da2e54ull}, /* -37 */
    {0xaa242499697392d2ull, 0xdde50bd1d5d0b9e9ull}, /* -36 */
    {0xd4ad2dbfc3d07787ull, 0x955e4ec64b44e864ull}, /* -35 */
    {0x84ec3c97da624ab4ull, 0xbd5af13bef0b113eull}, /* -34 */
    {0xa6274bbdd0fadd61ull, 0xecb1ad8aeacdd58eull}, /* -33 */
    {0xcfb11ead453994baull, 0x67de18eda5814af2ull}, /* -32 */
    {0x81ceb32c4b43fcf4ull, 0x80eacf948770ced7ull}, /* -31 */
    {0xa2425ff75e14fc31ull, 0xa1258379a94d028dull}, /* -30 */
    {0xcad2f7f5359a3b3eull, 0x096ee45813a04330ull}, /* -29 */
    {0xfd87b5f28300ca0dull, 0x8bca9d6e188853fcull}, /* -28 */
    {0x9e74d1b791e07e48ull, 0x775ea264cf55347eull}, /* -27 */
    {0xc612062576589ddaull, 0x95364afe032a819eull}, /* -26 */
    {0xf79687aed3eec551ull, 0x3a83ddbd83f52205ull}, /* -25 */
    {0x9abe14cd44753b52ull, 0xc4926a9672793543ull}, /* -24 */
    {0xc16d9a0095928a27ull, 0x75b7053c0f178294ull}, /* -23 */
    {0xf1c90080baf72cb1ull, 0x5324c68b12dd6339ull}, /* -22 */
    {0x971da05074da7beeull, 0xd3f6fc16ebca5e04ull}, /* -21 */
    {0xbce5086492111aeaull, 0x88f4bb1ca6bcf585ull}, /* -20 */
    {0xec1e4a7db69561a5ull, 0x2b31e9e3d06c32e6ull}, /* -19 */
    {0x9392ee8e921d5d07ull, 0x3aff322e62439fd0ull}, /* -18 */
    {0xb877aa3236a4b449ull, 0x09befeb9fad487c3ull}, /* -17 */
    {0xe69594bec44de15bull, 0x4c2ebe687989a9b4ull}, /* -16 */
    {0x901d7cf73ab0acd9ull, 0x0f9d37014bf60a11ull}, /* -15 */
    {0xb424dc35095cd80full, 0x538484c19ef38c95ull}, /* -14 */
    {0xe12e13424bb40e13ull, 0x2865a5f206b06fbaull}, /* -13 */
    {0x8cbccc096f5088cbull, 0xf93f87b7442e45d4ull}, /* -12 */
    {0xafebff0bcb24aafeull, 0xf78f69a51539d749ull}, /* -11 */
    {0xdbe6fecebdedd5beull, 0xb573440e5a884d1cull}, /* -10 */
    {0x89705f4136b4a597ull, 0x31680a88f8953031ull}, /* -9 */
    {0xabcc77118461cefcull, 0xfdc20d2b36ba7c3eull}, /* -8 */
    {0xd6bf94d5e57a42bcull, 0x3d32907604691b4dull}, /* -7 */
    {0x8637bd05af6c69b5ull, 0xa63f9a49c2c1b110ull}, /* -6 */
    {0xa7c5ac471b478423ull, 0x0fcf80dc33721d54ull}, /* -5 */
    {0xd1b71758e219652bull, 0xd3c36113404ea4a9ull}, /* -4 */
    {0x83126e978d4fdf3bull, 0x645a1cac083126eaull}, /* -3 */
    {0xa3d70a3d70a3d70aull, 0x3d70a3d70a3d70a4ull}, /* -2 */
    {0xccccccccccccccccull, 0xcccccccccccccccdull}, /* -1 */
    {0x8000000000000000ull, 0x0000000000000000ull}, /* 0 */
    {0xa000000000000000ull, 0x0000000000000000ull}, /* 1 */
    {0xc800000000000000ull, 0x0000000000000000ull}, /* 2 */
    {0xfa00000000000000ull, 0x0000000000000000ull}, /* 3 */
    {0x9c40000000000000ull, 0x0000000000000000ull}, /* 4 */
    {0xc350000000000000ull, 0x0000000000000000ull}, /* 5 */
    {0xf424000000000000ull, 0x0000000000000000ull}, /* 6 */
    {0x9896800000000000ull, 0x0000000000000000ull}, /* 7 */
    {0xbebc200000000000ull, 0x0000000000000000ull}, /* 8 */
    {0xee6b280000000000ull, 0x0000000000000000ull}, /* 9 */
    {0x9502f90000000000ull, 0x0000000000000000ull}, /* 10 */
    {0xba43b74000000000ull, 0x0000000000000000ull}, /* 11 */
    {0xe8d4a51000000000ull, 0x0000000000000000ull}, /* 12 */
    {0x9184e72a00000000ull, 0x0000000000000000ull}, /* 13 */
    {0xb5e620f480000000ull, 0x0000000000000000ull}, /* 14 */
    {0xe35fa931a0000000ull, 0x0000000000000000ull}, /* 15 */
    {0x8e1bc9bf04000000ull, 0x0000000000000000ull}, /* 16 */
    {0xb1a2bc2ec5000000ull, 0x0000000000000000ull}, /* 17 */
    {0xde0b6b3a76400000ull, 0x0000000000000000ull}, /* 18 */
    {0x8ac7230489e80000ull, 0x0000000000000000ull}, /* 19 */
    {0xad78ebc5ac620000ull, 0x0000000000000000ull}, /* 20 */
    {0xd8d726b7177a8000ull, 0x0000000000000000ull}, /* 21 */
    {0x878678326eac9000ull, 0x0000000000000000ull}, /* 22 */
    {0xa968163f0a57b400ull, 0x0000000000000000ull}, /* 23 */
    {0xd3c21bcecceda100ull, 0x0000000000000000ull}, /* 24 */
    {0x84595161401484a0ull, 0x0000000000000000ull}, /* 25 */
    {0xa56fa5b99019a5c8ull, 0x0000000000000000ull}, /* 26 */
    {0xcecb8f27f4200f3aull, 0x0000000000000000ull}, /* 27 */
    {0x813f3978f8940984ull, 0x4000000000000000ull}, /* 28 */
    {0xa18f07d736b90be5ull, 0x5000000000000000ull}, /* 29 */
    {0xc9f2c9cd04674edeull, 0xa400000000000000ull}, /* 30 */
    {0xfc6f7c4045812296ull, 0x4d00000000000000ull}, /* 31 */
    {0x9dc5ada82b70b59dull, 0xf020000000000000ull}, /* 32 */
    {0xc5371912364ce305ull, 0x6c28000000000000ull}, /* 33 */
    {0xf684df56c3e01bc6ull, 0xc732000000000000ull}, /* 34 */
    {0x9a130b963a6c115cull, 0x3c7f400000000000ull}, /* 35 */
    {0xc097ce7bc90715b3ull, 0x4b9f100000000000ull}, /* 36 */
    {0xf0bdc21abb48db20ull, 0x1e86d40000000000ull}, /* 37 */
    {0x96769950b50d88f4ull, 0x1314448000000000ull}, /* 38 */
    {0xbc143fa4e250eb31ull, 0x17d955a000000000ull}, /* 39 */
    {0xeb194f8e1ae525fdull, 0x5dcfab0800000000ull}, /* 40 */
    {0x92efd1b8d0cf37beull, 0x5aa1cae500000000ull}, /* 41 */
    {0xb7abc627050305adull, 0xf14a3d9e40000000ull}, /* 42 */
    {0xe596b7b0c643c719ull, 0x6d9ccd05d0000000ull}, /* 43 */
    {0x8f7e32ce7bea5c6full, 0xe4820023a2000000ull}, /* 44 */
    {0xb35dbf821ae4f38bull, 0xdda2802c8a800000ull}, /* 45 */
    {0xe0352f62a19e306eull, 0xd50b2037ad200000ull}, /* 46 */
    {0x8c213d9da502de45ull, 0x4526f422cc340000ull}, /* 47 */
    {0xaf298d050e4395d6ull, 0x9670b12b7f410000ull}, /* 48 */
    {0xdaf3f04651d47b4cull, 0x3c0cdd765f114000ull}, /* 49 */
    {0x88d8762bf324cd0full, 0xa5880a69fb6ac800ull}, /* 50 */
    {0xab0e93b6efee0053ull, 0x8eea0d047a457a00ull}, /* 51 */
    {0xd5d238a4abe98068ull, 0x72a4904598d6d880ull}, /* 52 */
    {0x85a36366eb71f041ull, 0x47a6da2b7f864750ull}, /* 53 */
    {0xa70c3c40a64e6c51ull, 0x999090b65f67d924ull}, /* 54 */
    {0xd0cf4b50cfe20765ull, 0xfff4b4e3f741cf6dull}, /* 55 */
    {0x82818f1281ed449full, 0xbff8f10e7a8921a4ull}, /* 56 */
    {0xa321f2d7226895c7ull, 0xaff72d52192b6a0dull}, /* 57 */
    {0xcbea6f8ceb02bb39ull, 0x9bf4f8a69f764490ull}, /* 58 */
    {0xfee50b7025c36a08ull, 0x02f236d04753d5b4ull}, /* 59 */
    {0x9f4f2726179a2245ull, 0x01d762422c946590ull}, /* 60 */
    {0xc722f0ef9d80aad6ull, 0x424d3ad2b7b97ef5ull}, /* 61 */
    {0xf8ebad2b84e0d58bull, 0xd2e0898765a7deb2ull}, /* 62 */
    {0x9b934c3b330c8577ull, 0x63cc55f49f88eb2full}, /* 63 */
    {0xc2781f49ffcfa6d5ull, 0x3cbf6b71c76b25fbull}, /* 64 */
};
/* clang-format on */

#endif
