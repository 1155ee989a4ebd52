"""A lesson in small: fewer scenes, masks, epochs and steps. `nbdev-test` runs each lesson as it is; where one is run
again, as a learner's copy or on another device, a few are enough to see that every cell does."""

FEWER = {
    # 00 to 06
    'n=600': 'n=64', 'n_valid:int=200': 'n_valid:int=16', 'animals(net, 60)': 'animals(net, 16)',
    'animals(net, 28)': 'animals(net, 8)', 'animal(net, 60)': 'animal(net, 16)', 'animal(net, 100)': 'animal(net, 16)',
    'animal(net, 160': 'animal(net, 32', 'range(60)': 'range(16)', 'n = 300': 'n = 80',
    # 07
    'animals(net, 200)': 'animals(net, 30)', 'n=200': 'n=30', 'net.vocab[i % 8]) for i in range(128)':
    'net.vocab[i % 8]) for i in range(32)', 'torch.arange(128) % 8': 'torch.arange(32) % 8',
    # 08
    'animals(net, 12)': 'animals(net, 3)', 'asked(2000, 99)': 'asked(800, 99)',
    # 09
    'animals(net, 24)': 'animals(net, 8)', 'N := 24': 'N := 12',
    # 10
    'n=160, n_valid=40': 'n=64, n_valid=40', 'animal(net, 48)': 'animal(net, 16)', 'animals(net, 56)':
    'animals(net, 16)', 'fit_one_cycle(epochs, lr)': 'fit_one_cycle(1, lr)', 'steps=100)': 'steps=5)',
    'usual(48, ': 'usual(16, ', 'usual(24, ': 'usual(8, ',
    # 11
    'redrawn, tint, told_stories)': 'redrawn, tint, told_stories)\nfine_tuned.__defaults__ = None, 0, 1, 6e-3, 32',
    # 12
    'one_animal(net, 96)': 'one_animal(net, 24)', 'slice(0, 64), slice(64, 96)': 'slice(0, 16), slice(16, 24)',
    'data.scenes[66]': 'data.scenes[18]', 'm[66]': 'm[18]', 'slice(66, 69)': 'slice(18, 21)',
    'range(0, 32)': 'range(0, 8)', 'slice(64 + picture, 65 + picture)': 'slice(16 + picture, 17 + picture)',
    # 13
    "known, new = reviews('sentences')":
    "known, new = (Reviews(p.texts[:320], p.labels[:320]) for p in reviews('sentences'))",
    '[:300]': '[:30]', '<= 30][:80]': '<= 30][:5]', 'unread.texts[:50]': 'unread.texts[:5]',
    'not y][:100]': 'not y][:9]',
    # 14
    'look_alikes(40, 1_000_000), two_right(40, 1_010_000), abroad(80, 2_000_000)':
    'look_alikes(20, 1_000_000), two_right(20, 1_010_000), abroad(40, 2_000_000)', 'epochs=3': 'epochs=1'}

def fewer(source): # of a cell
    for many, few in FEWER.items(): source = source.replace(many, few)
    return source
