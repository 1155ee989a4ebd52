"Metrics: values by hand, what maps without information get, other libraries where they are right, and where not."
import pandas as pd, pytest, torch, torch.nn.functional as F
from importlib.metadata import version
from PIL import Image
from torch import nn
from camtutor import metrics as M, protocols as P
from camtutor.course import check_tensor
from camtutor.engine.ask import ask, black, classes_of
from camtutor.engine.fill import fill_holes
from camtutor.errors import CamError
from camtutor.methods import METHODS
from camtutor.metrics import METRICS, Case, case, keep_top, measure, unit
from camtutor.networks import load_plain, small_resnet
from camtutor.networks.shipped import DATA
from camtutor.scenes import scene
from camtutor.truth import BASELINES, Effects, one_animal, true_effects

def small(k=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(6, k)).eval()

X = torch.randn(4, 3, 24, 32, generator=torch.Generator().manual_seed(3))
MAPS = torch.rand(4, 24, 32, generator=torch.Generator().manual_seed(4))
MASK = torch.zeros(4, 24, 32, dtype=torch.bool)
MASK[:, 4:14, 8:20] = True

# ---- by hand

def test_unit():
    check_tensor(unit(torch.tensor([[[1., 3.]], [[-2., -2.]], [[4., 4.]], [[0., 0.]]])),
                 torch.tensor([[[0., 1.]], [[0., 0.]], [[1., 1.]], [[0., 0.]]]))

def test_drop_increase_gain():
    p, o = torch.tensor([.8, .5, 0., 1.]), torch.tensor([.2, .6, 0., 1.])
    check_tensor(M.drop(p, o), [.75, 0., 0., 0.])
    check_tensor(M.increase(p, o), [0., 1., 0., 0.])
    check_tensor(M.gain(p, o), [0., .2, 0., 0.])

@pytest.mark.parametrize('share, n', [(1., 12), (.5, 6), (.15, 2), (0., 0)])
def test_exactly_so_many_places_are_kept_also_where_all_are_equal(share, n):
    for m in (torch.ones(1, 3, 4), torch.rand(1, 3, 4) + .1): assert (keep_top(m, share) > 0).sum() == n
    check_tensor(keep_top(torch.tensor([[[.2, .9, .5, .1]]]), .5), [[[0., .9, .5, 0.]]])

def test_keeping_changes_no_map():
    m = MAPS.clone()
    keep_top(m, .5); keep_top(m, .15)
    assert torch.equal(m, MAPS)

def test_order_and_ties():
    check_tensor(P.order_of(torch.tensor([[[.1, .7], [.9, .3]]])), torch.tensor([[[3, 1], [0, 2]]]))
    flat = P.order_of(torch.zeros(1, 20, 20))[0]
    assert sorted(flat.flatten().tolist()) == list(range(400))
    assert abs(flat[:10].float().mean() - flat[10:].float().mean()) < 40           # neither half goes first
    assert torch.equal(flat, P.order_of(torch.zeros(1, 20, 20))[0])
    assert not torch.equal(flat, P.order_of(torch.zeros(1, 20, 20), 1)[0])

def test_areas():
    check_tensor(M.area(torch.tensor([[1., 1., 1.], [1., .5, 0.], [0., 0., 1.]])), [1., .5, .25])

class Counter(nn.Module):
    "Its score of class 1 is how many pixels are lit."
    activation = staticmethod(lambda out: out / 2)
    def forward(self, x):
        lit = (x[:, 0] > .5).float().mean((1, 2))
        return 2 * torch.stack([1 - lit, lit], 1)

def test_deletion_of_a_network_that_counts():
    "Half of the picture is lit. Deleting it first falls evenly to 0; deleting it last stays at ½ for half of the way."
    x = torch.zeros(1, 3, 16, 16); x[..., :8, :] = 1
    top = torch.linspace(1, 0, 16)[None, :, None].expand(1, 16, 16)
    bottom = top.flip(1)
    check_tensor(measure('deletion', Counter(), x, top, 1), [.125])
    check_tensor(measure('deletion', Counter(), x, bottom, 1), [.375])

def test_part_shares_and_single_deletion():
    masks = torch.zeros(1, 3, 2, 2, dtype=torch.bool)
    masks[0, 0, 0, 0] = masks[0, 1, 0, 1] = masks[0, 2, 1] = True
    shares = M.part_shares(torch.tensor([[[1., 3.], [-5., 4.]]]), masks)
    check_tensor(shares, [[.125, .375, .5]])
    seen = torch.tensor([[True] * 3])
    for effects, want in (([1., 2., 3.], 1.), ([3., 2., 1.], 0.), ([1., 3., 2.], .75)):
        check_tensor(M.single_deletion(shares, torch.tensor([effects]), seen), [want])
    assert M.single_deletion(shares, torch.tensor([[1., 2., 3.]]), seen & torch.tensor([[True, False, False]])).isnan()

def test_road_by_hand():
    check_tensor(M.road(torch.tensor([[.2, 0.], [1., 1.]]), torch.tensor([[1., .6], [1., 1.]])), [.35, 0.])

def test_harmonic():
    check_tensor(M.harmonic(torch.tensor([1., 1.]), torch.tensor([.5, 0.])), [2/3, 0.])

def test_arcc_by_hand():
    "A coherent map that marks a quarter, with the largest gap there is: 3/(1 + 1/.75 + 1)."
    m = torch.zeros(1, 2, 2); m[0, 0, 0] = 1
    check_tensor(M.arcc(m, m, torch.zeros(1, 4), torch.ones(1, 4)), [3 / (1 + 1/.75 + 1)])
    check_tensor(M.adcc(m, m, torch.tensor([.8]), torch.tensor([.4])), [3 / (1 + 1/.75 + 2)])
    assert isinstance(METRICS['arcc'], M.Metric)

def test_what_is_important_and_what_is_like_the_next():
    assert P.important(torch.tensor([[.3, .1, .05]])).tolist() == [[True, False, False]]
    rows = torch.tensor([[1., 2., 3.], [1., 2., 3.]]), torch.tensor([[1., 5., 9.], [2., 2., 1.]])
    check_tensor(P.spearman(*rows), [1., -.8660])
    check_tensor(P.unrelated(torch.stack([MAPS[0], -MAPS[0]])), [1., 1.])
    assert P.box_overlaps(MASK[:1].float(), P.box_of(MASK[:1]), cuts=3).tolist() == [[1, 1, 1]]

def test_coherency_of_what_never_changes_and_of_a_constant():
    check_tensor(M.coherency(MAPS[:2], MAPS[:2]), torch.ones(2))
    check_tensor(M.coherency(MAPS[:1], 1 - MAPS[:1]), [0.])
    check_tensor(M.coherency(MAPS[:1], torch.ones(1, 24, 32)), [0.])

# ---- against a mask

def test_rank_accuracy_and_auc():
    m = torch.tensor([[[4., 3., 2., 1.]], [[1., 1., 1., 1.]], [[1., 2., 3., 4.]]])
    mask = torch.tensor([[[True, False, True, False]]]).expand(3, 1, 4)
    check_tensor(P.rank_accuracy(m, mask), [.5, .5, .5])
    check_tensor(P.pixel_auc(m, mask), [.75, .5, .25])
    assert P.rank_accuracy(m, mask & False).isnan().all() and P.pixel_auc(m, mask & False).isnan().all()

def test_pointing_game():
    m = torch.zeros(1, 20, 20); m[0, 10, 4] = 1
    mask = torch.zeros(1, 20, 20, dtype=torch.bool); mask[0, 10, 8] = True
    assert P.pointing_game(m, mask, 4.).item() == 0 and P.pointing_game(m, mask, 4.1).item() == 1   # strictly nearer
    assert P.pointing_game(m.transpose(1, 2), mask, 4.1).item() == 0                                 # rows are rows
    assert P.pointing_game(m, mask & False).isnan()

def test_boxes():
    mask = torch.zeros(2, 10, 10, dtype=torch.bool); mask[0, 2:5, 3:9] = True
    check_tensor(P.box_of(mask), torch.tensor([[3, 2, 8, 4], [0, 0, 0, 0]]))
    check_tensor(P.overlap(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[1, 1, 2, 2]])), [1/7])
    for v2 in (True, False): assert P.max_box_accuracy(mask[:1].float(), mask[:1], v2) == 1
    assert P.max_box_accuracy(torch.ones(1, 10, 10), mask[:1]) == 0                                  # constant: no box

def test_one_threshold_for_the_whole_set():
    "Each picture has a threshold that is right for it, but no threshold is right for both."
    mask = torch.zeros(2, 10, 10, dtype=torch.bool); mask[:, 2:8, 2:8] = True
    m = torch.zeros(2, 10, 10)
    m[0, 2:8, 2:8], m[0, 4:6, 4:6] = .2, 1.     # right below .2
    m[1] = .4; m[1, 2:8, 2:8], m[1, 0, 0] = 1., 0.   # right above .4
    assert P.max_box_accuracy(m, mask, v2=False, cuts=20) == .5

def test_energy_pointing_game():
    "The box of an L takes in the corner that the L leaves out; rows are rows."
    mask = torch.zeros(2, 4, 5, dtype=torch.bool)
    mask[0, 1:3, 1] = mask[0, 2, 1:4] = True
    m = torch.zeros(2, 4, 5)
    m[0, 1, 3], m[0, 0, 0], m[0, 3, 1] = 3., 1., -7.
    check_tensor(P.energy_pointing_game(m, mask), [.75, 0.])
    check_tensor(P.energy_pointing_game(torch.ones(2, 4, 5), mask), [6/20, 0.])
    with pytest.raises(CamError, match='must both be'): P.energy_pointing_game(m, mask[:, 1:])

def test_win_rate(): assert P.win_rate(torch.tensor([.1, .5, .3]), torch.tensor([.2, .5, .2])) == pytest.approx(1/3)

def test_infidelity():
    sums = torch.tensor([[1., 2.], [0., 0.], [1., -1.], [1., 1.]])
    drops = torch.tensor([[3., 6.], [1., 2.], [1., 1.], [0., 0.]])
    out = P.infidelity(sums, drops)
    check_tensor(out[:3], [0., 1., 1.])
    assert out[3].isnan()

def test_squares_are_whole_squares():
    s = P.squares((24, 32), 10, .25)
    assert s.shape == (10, 24, 32) and (s.sum((1, 2)) == 36).all() and torch.equal(s, P.squares((24, 32), 10, .25))

# ---- FunnyBirds' questions

def test_distractibility_and_background():
    chosen = torch.tensor([[True, True, False]]); effects = torch.tensor([[5., .1, .2]])
    check_tensor(P.distractibility(chosen, effects, torch.tensor([10.]), torch.ones(1, 3).bool()), [.5])
    check_tensor(P.background_independence(torch.tensor([.1, 5.]), torch.tensor([10., 10.])), [1., 0.])

def test_target_sensitivity():
    own, other = MASK[:1], MASK[:1].roll(12, 2)
    check_tensor(P.target_sensitivity(own.float(), other.float(), own, other), [1.])
    check_tensor(P.target_sensitivity(other.float(), own.float(), own, other), [0.])
    check_tensor(P.target_sensitivity(MAPS[:1], MAPS[:1], own, other), [0.])          # a map without a class

@pytest.fixture(scope='module')
def plain(): return load_plain()

def test_kept_and_deleted_parts(plain):
    d = one_animal(plain, 2)
    parts, every = P.ANIMAL, torch.ones(2, 7, dtype=torch.bool)
    assert P.preservation(plain, d.scenes, parts, every).tolist() == [1, 1]
    assert P.deletion_check(plain, d.scenes, parts, ~every).tolist() == [0, 0]

# ---- true effects

def test_true_effects_are_what_drawing_away_does(plain):
    s = scene(21, 'dog')
    e = true_effects(plain, [s, scene(5, 'cat', collar=False)], ('ears', 'collar', 'background'))
    assert isinstance(e, Effects) and e.effects.shape == (2, 3, 8) and e.masks.shape == (2, 3, 128, 128)
    def score(s): return plain(plain.transform(s)[None])[0]
    with torch.no_grad(): want = score(s) - score(scene(21, 'dog', without='ears'))
    check_tensor(e.effects[0, 0], want, atol=1e-4)
    check_tensor(e.of([2, 1])[0, 0], want[2], atol=1e-4)
    assert not e.effects[1, 1].any() and not e.masks[1, 1].any()                       # no collar, no effect

def test_true_effects_refuse(plain):
    from camtutor.scenes.gallery import gallery
    with pytest.raises(CamError, match='kept picture'): true_effects(plain, gallery()[0])
    with pytest.raises(CamError, match='no list of scenes'): true_effects(plain, [])
    with pytest.raises(CamError, match='no transform'): true_effects(small(), scene(1))

# ---- the table

KNOWN = dict(mask=MASK, other=MASK.roll(12, 2), masks=torch.stack([MASK, ~MASK], 1),
             effects=torch.tensor([[2., 1.]] * 4),
             explain=lambda net, x, t: x.abs().mean(1))

@pytest.mark.parametrize('name', METRICS)
def test_every_metric_keeps_its_range_and_leaves_nothing_behind(name):
    net, row = small(), METRICS[name]
    net.train()
    rng, before = torch.get_rng_state(), {k: v.clone() for k, v in net.state_dict().items()}
    v = measure(name, net, X, MAPS, **KNOWN)
    assert v.shape == (4,) and v.dtype == torch.float32
    assert ((v >= row.low - 1e-6) & (v <= row.high + 1e-6)).all() and row.better in ('higher', 'lower')
    assert torch.equal(v, measure(name, net, X, MAPS, **KNOWN))                        # chance is seeded
    assert all(m.training for m in net.modules()) and torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(before[k], t) for k, t in net.state_dict().items())
    assert not any(m._forward_hooks for m in net.modules()) and all(p.grad is None for p in net.parameters())

@pytest.mark.parametrize('name', [k for k, r in METRICS.items() if r.needs == 'network'])
def test_a_batch_is_its_pictures(name):
    alone = torch.cat([measure(name, small(), X[i:i+1], MAPS[i:i+1], 1) for i in range(4)])
    check_tensor(measure(name, small(), X, MAPS, 1), alone)

def test_maps_without_information():
    "What everybody should know of these metrics."
    net, n = small(), len(X)
    fake = torch.ones(n, 24, 32); fake[:, 0, 0] = 0
    assert measure('average_drop', net, X, torch.ones(n, 24, 32)).max() == 0            # uniform: nothing is lost
    assert measure('average_drop', net, X, fake).mean() < .01                            # Fake-CAM
    assert measure('increase', net, X, torch.ones(n, 24, 32)).max() == 0
    check_tensor(measure('pixel_auc', net, X, torch.ones(n, 24, 32), mask=MASK), torch.full((n,), .5))
    check_tensor(measure('rank_accuracy', net, X, torch.ones(n, 24, 32), mask=MASK), MASK.float().mean((1, 2)))
    half = torch.full((n, 24, 32), .5); half[:, 0, 0], half[:, -1, -1] = 0, 1
    adcc = measure('adcc', net, X, half, explain=lambda net, x, t: half)
    assert adcc.min() > .5                                                               # the constant ½
    assert P.randomisation(lambda net, x, t: torch.rand(n, 24, 32), net, X, None, MAPS).max() < .2
    check_tensor(P.randomisation(lambda net, x, t: MAPS, net, X, None, MAPS), torch.ones(n))

def test_black_is_black():
    net = load_plain()
    x = net.transform(Image.new('RGB', (128, 128)))[None]
    check_tensor(black(net, x).expand_as(x), x)
    assert (black(small(), X) == 0).all()

def test_own_activation():
    net = small()
    net.activation = torch.sigmoid
    check_tensor(ask(net, X, torch.tensor([1] * 4)), net(X).sigmoid()[:, 1].detach())
    check_tensor(ask(small(), X, torch.tensor([1] * 4)), small()(X).softmax(1)[:, 1].detach())
    assert classes_of(net, X).tolist() == net(X).argmax(1).tolist() and classes_of(net, X, 2).tolist() == [2] * 4

def test_cascade_forgets_from_the_answer_down():
    net = small_resnet(3).eval()
    x = torch.randn(4, 3, 64, 64)
    nets = list(P.cascade(net, x, 3))
    first, last = list(P.cascade(net, x, 1))[0], net.state_dict()
    changed = [[k for k, v in deep.state_dict().items() if 'weight' in k and v.ndim > 1 and not torch.equal(v, last[k])]
               for deep in [*(next(iter(P.cascade(net, x, 3))) for _ in range(1)), first]]
    assert len(nets) == 3 and 0 < len(changed[0]) < len(changed[1])
    assert changed[1] == [k for k, v in last.items() if 'weight' in k and v.ndim > 1]

def test_every_row_says_what_it_asks_hides_and_does_with_equal_values():
    for name, r in METRICS.items():
        asked = {'mask': {'nothing'}, 'pair': {'nothing'}, 'parts': {'score'}, 'network': {'probability'}}
        assert r.asks in asked.get(r.needs, {'maps', 'maps, probability'}) and r.low < r.high, name
        assert bool(r.shown) == ('probability' in r.asks or name == 'coherency'), name
    ranked = {k for k, r in METRICS.items() if r.ties}
    assert set(METRICS) - ranked == {'average_drop', 'increase', 'average_gain', 'infidelity', 'coherency', 'adcc',
                                     'sensitivity', 'energy', 'own_share'}   # these read values, and no order

def test_the_tables_that_ship_know_every_metric_and_its_methods():
    "`python -m benchmarks.metrics --trial` and `--table` write them; a new metric or method needs them again."
    trial = pd.read_csv(DATA/'metrics_trial.csv', comment='#', index_col='metric')
    assert set(trial.index) > set(METRICS) and set(trial.index) - set(METRICS) < set(P.__all__)
    ranked = trial.dropna()
    assert {METRICS[k].needs for k in ranked.index} == {'network', 'mask', 'parts'}
    assert ((ranked.low <= ranked.agreement) & (ranked.agreement <= ranked.high)).all()
    table = pd.read_csv(DATA/'metrics_table.csv', comment='#')
    assert set(table.method) <= {*METHODS, *BASELINES} and set(table.network) == {'pets', 'plain'}
    assert (table.groupby('network').picture.nunique() * table.groupby('network').method.nunique()).sum() == len(table)

# ---- bad input

@pytest.mark.parametrize('call, says', [
    (lambda: measure('deletoin', small(), X, MAPS), "Did you mean 'deletion'"),
    (lambda: measure('energy', small(), X, MAPS), 'needs mask'),
    (lambda: measure('own_share', small(), X, MAPS, mask=MASK), 'needs other'),
    (lambda: measure('single_deletion', small(), X, MAPS), 'needs masks'),
    *((lambda k=k: measure(k, small(), X, MAPS), 'needs explain') for k, r in METRICS.items() if r.needs == 'explain'),
    (lambda: measure('energy', small(), X, MAPS, mask=MASK[:, :9]), 'must both be'),
    (lambda: measure('deletion', small(), X, MAPS[:2]), 'there are 4 pictures'),
    (lambda: measure('deletion', small(), X, MAPS[:, None]), 'there are 4 pictures'),
    (lambda: measure('deletion', small(), X, MAPS / 0), 'NaN or infinite'),
    (lambda: measure('deletion', small(), X, MAPS, 7), 'out of range'),
    (lambda: measure('deletion', small(), X, MAPS, lambda out: out[:, 0]), 'is no class'),
    (lambda: measure('deletion', small(1), X, MAPS, 0), 'no probabilities'),
    (lambda: P.max_box_accuracy(MAPS, MASK[:, 1:]), 'must both be')])
def test_refusals(call, says):
    with pytest.raises(CamError) as e: call()
    assert says in str(e.value)

# ---- holes

def test_filling_reproduces_what_is_smooth():
    "A constant everywhere, a slope away from the border; nothing outside of what is round the hole."
    gone = torch.rand(2, 12, 15, generator=torch.Generator().manual_seed(0)) > .4
    check_tensor(fill_holes(torch.full((2, 3, 12, 15), 2.5), gone), torch.full((2, 3, 12, 15), 2.5))
    slope = (torch.arange(15.) + 2 * torch.arange(12.)[:, None]).expand(1, 1, 12, 15)
    hole = torch.zeros(1, 12, 15, dtype=torch.bool); hole[0, 3:9, 2:13] = True
    check_tensor(fill_holes(slope, hole), slope)
    x = torch.rand(2, 3, 12, 15)
    out = fill_holes(x, gone)
    assert torch.equal(out.where(~gone[:, None], 0.), x.where(~gone[:, None], 0.))
    assert (out >= 0).all() and (out <= 1).all()
    assert not fill_holes(x, torch.ones(2, 12, 15).bool()).any()                      # nothing is known: 0, and no NaN

@pytest.mark.parametrize('gone', [
    torch.rand(2, 21, 34, generator=torch.Generator().manual_seed(1)) > .2,                # few places are left
    P.order_of(torch.nn.functional.interpolate(torch.rand(2, 1, 3, 4), (21, 34), mode='bicubic')[:, 0]) < 500,
    torch.arange(21 * 34).view(21, 34).expand(2, 21, 34) > 0,                              # a corner alone is left
    torch.ones(2, 21, 34).bool() ^ (torch.arange(34) == 17)], ids=['dots', 'blobs', 'corner', 'line'])
def test_filling_solves_the_equations(gone):
    "Against a dense solution: each lost pixel is the mean of its neighbours, 1/6 at an edge and 1/12 at a corner."
    x = torch.rand(2, 3, 21, 34)
    near = torch.eye(21 * 34, dtype=torch.double).view(-1, 1, 21, 34)
    kernel = torch.tensor([[1, 2, 1], [2, 0, 2], [1, 2, 1.]]).double()[None, None] / 12
    weights = F.conv2d(near, kernel, padding=1).flatten(1)
    for i, hole in enumerate(gone.flatten(1)):
        matrix = torch.diag(weights.sum(1)) - weights
        known = x[i].flatten(1).double().T
        want = torch.linalg.solve(matrix[hole][:, hole], -matrix[hole][:, ~hole] @ known[~hole])
        check_tensor(fill_holes(x[i:i+1], gone[i:i+1])[0].flatten(1).T[hole], want.float(), atol=1e-5)

def test_noise_is_in_the_holes_alone():
    hole = torch.zeros(1, 12, 15, dtype=torch.bool); hole[0, 3:9, 2:13] = True
    x = torch.zeros(1, 3, 12, 15)
    noisy = fill_holes(x, hole, noise=.1)
    assert .05 < noisy[:, :, 3:9, 2:13].std() < .15 and not noisy.where(~hole[:, None], 0.).any()

# ---- other libraries, where they are right

def test_filling_is_pytorch_grad_cams():
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer
    for seed in range(3):
        hole = torch.rand(12, 15, generator=torch.Generator().manual_seed(seed)) > .5
        theirs = NoisyLinearImputer(noise=0)(X[0, :, :12, :15], (~hole).float())
        check_tensor(fill_holes(X[:1, :, :12, :15], hole[None])[0], theirs, atol=1e-4)

def test_drop_is_torch_cams():
    from torchcam.methods import GradCAM
    from torchcam.metrics import ClassificationMetric
    from camtutor.gradcam import grad_cam_maps
    net = small(4, seed=5)
    theirs = ClassificationMetric(GradCAM(net, net[0], input_shape=(3, 24, 32)), lambda out: out.softmax(1))
    theirs.update(X)
    m = grad_cam_maps(net, X, '0', lambda out: out.softmax(1).amax(1))[1]   # theirs explains the probability
    p, o = M.masked(case(net, X, m))
    s = theirs.summary()
    assert s['avg_drop'] == pytest.approx(M.drop(p, o).mean().item(), abs=1e-4)
    assert s['conf_increase'] == pytest.approx(M.increase(p, o).mean().item())

def captum_squares(holes):
    "A perturbation for Captum: its k-th repetition cuts the k-th square out."
    def perturb(x, *baselines):
        hole = holes.repeat(len(x) // len(holes), 1, 1)[:, None].expand(-1, 3, -1, -1).float()
        return hole, x * (1 - hole)
    return perturb

def test_infidelity_is_captums():
    from captum.metrics import infidelity
    net, target = small(), torch.tensor([1, 0, 2, 1])
    holes = P.squares((24, 32), 16)
    c = case(net, X, MAPS, target.tolist())
    sums, drops = M.squared(c)
    theirs = infidelity(lambda x: net(x).softmax(1), captum_squares(holes), X, MAPS[:, None].expand(-1, 3, -1, -1) / 3,
                        target=target, n_perturb_samples=16, normalize=True)
    check_tensor(P.infidelity(sums, drops) * drops.square().mean(1), theirs.detach(), atol=1e-6)

def test_sensitivity_is_captums():
    from captum.metrics import sensitivity_max
    net = small()
    noise = (2 * torch.rand(X.shape, generator=torch.Generator().manual_seed(0)) - 1) * .02
    def explain(net, x, target): return x.pow(2)
    theirs = sensitivity_max(lambda x: ((x[0] if isinstance(x, tuple) else x).pow(2),), X,
                             perturb_func=lambda x: x + noise, n_perturb_samples=1)
    check_tensor(P.sensitivity(explain, net, X, None, explain(net, X, None), n=1), theirs, atol=1e-5)

def quantus_score(metric, m, mask):
    import numpy as np, quantus
    how = dict(abs=False, normalise=False, disable_warnings=True, display_progressbar=False)
    return getattr(quantus, metric)(**how)(model=small(), x_batch=X[:len(m)].numpy(), y_batch=np.zeros(len(m), int),
                                           a_batch=m[:, None].numpy(), s_batch=mask[:, None].numpy(), device='cpu')

def test_localisation_is_quantus():
    pairs = {'RelevanceRankAccuracy': P.rank_accuracy, 'RelevanceMassAccuracy': M.energy, 'AUC': P.pixel_auc}
    for theirs, own in pairs.items():
        check_tensor(own(MAPS, MASK), torch.tensor(quantus_score(theirs, MAPS, MASK)).float())

# ---- and where they are not: the version says for which the reason was seen

def test_quantus_calls_a_constant_map_a_hit():
    """quantus 0.6.0: any of the tied maxima may be inside. Here one of them is drawn by lot. (A map that is constant
    throughout it refuses, so one place is lower.)"""
    assert version('quantus') == '0.6.0'
    flat = torch.ones(4, 24, 32)
    flat[:, 0, 0] = .5
    assert list(quantus_score('PointingGame', flat, MASK)) == [True] * 4
    lots = torch.stack([P.pointing_game(torch.ones(1, 24, 32), MASK[:1], .1, seed) for seed in range(60)]).mean()
    assert .02 < lots < .4                                                            # its area is .16

def test_quantus_calls_an_empty_mask_a_hit():
    "quantus 0.6.0: it writes NaN into an array of bools, where NaN is True. Here it stays NaN: nobody can hit nothing."
    assert version('quantus') == '0.6.0'
    mask = MASK.clone()
    mask[0] = False
    assert quantus_score('PointingGame', MAPS, mask)[0] == True
    assert P.pointing_game(MAPS, mask)[0].isnan() and P.pointing_game(MAPS, mask)[1:].isfinite().all()

def test_quantus_counts_the_network_as_it_was_among_the_random_ones():
    """quantus 0.6.0: the average leaves out the key 'orig', but the key is 'original', so a map that is nothing but
    noise under random weights is called alike all the same. Here the mean is over the random networks alone."""
    import numpy as np, quantus
    assert version('quantus') == '0.6.0'
    net, maps = small(), {}
    def explain(model, inputs, targets, **how):
        "A map for each network: its first weight decides which."
        key = next(model.parameters()).sum().item() + list(model.parameters())[-1].sum().item()
        g = torch.Generator().manual_seed(maps.setdefault(key, len(maps)))
        return torch.rand(len(inputs), 1, 24, 32, generator=g).numpy()
    def score(**how):
        metric = quantus.MPRT(similarity_func=quantus.similarity_func.correlation_pearson, abs=False, normalise=False,
                              disable_warnings=True, **how)
        return metric(model=net, x_batch=X.numpy(), y_batch=np.zeros(4, int), explain_func=explain,
                      a_batch=explain(net, X, None), device='cpu')
    layers, average = score(), score(return_average_correlation=True)
    assert np.allclose(layers['original'], 1)
    assert np.allclose(average, np.mean(list(layers.values()), 0))
    without = np.mean([v for k, v in layers.items() if k != 'original'], 0)
    assert np.abs(without).max() < .1 < np.mean(average)

def test_quantus_takes_pictures_for_places():
    "quantus 0.6.0: the size of a picture is that of `x_batch[2:]`, all pictures but two; the weight depends on it."
    import numpy as np, quantus
    assert version('quantus') == '0.6.0'
    def score(n):
        metric = quantus.AttributionLocalisation(weighted=True, abs=False, normalise=False, disable_warnings=True)
        return metric(model=small(), x_batch=X[:n].numpy(), y_batch=np.zeros(n, int), a_batch=MAPS[:n, None].numpy(),
                      s_batch=MASK[:n, None].numpy(), device='cpu')[0]
    assert np.isclose(score(3), 2 * score(4))   # one and the same map
    check_tensor(M.energy(MAPS[:3], MASK[:3]), M.energy(MAPS, MASK)[:3])

def test_rows_are_rows():
    """Some published code reads a box as [x0:x1, y0:y1] of a map whose rows come first. Here what is right of the
    middle is right of it."""
    m, mask, turned = torch.zeros(1, 4, 6), torch.zeros(1, 4, 6, dtype=torch.bool), torch.zeros(1, 4, 6).bool()
    m[0, 1, 4], mask[0, 1, 3:], turned[0, 3, :4] = 1, True, True
    for metric in (M.energy, M.peak_inside, P.rank_accuracy, lambda m, k: P.pointing_game(m, k, .1)):
        assert metric(m, mask) > .3 > metric(m, turned)
    assert P.box_of(mask).tolist() == [[3, 1, 5, 1]]

def test_quantus_road_cannot_take_a_map_of_one_channel():
    "quantus 0.6.0: the map is spread over the picture's channels and sorted with them, but the filling counts places."
    import numpy as np, quantus
    how = dict(percentages=[50], abs=False, normalise=False, disable_warnings=True, display_progressbar=False)
    with pytest.raises(IndexError, match='out of bounds'):
        quantus.ROAD(**how)(model=small(), x_batch=X.numpy(), y_batch=np.zeros(4, int), a_batch=MAPS[:, None].numpy(),
                            device='cpu')
    assert measure('road', small(), X, MAPS, 0).isfinite().all()

def test_pytorch_grad_cam_does_not_divide_the_drop():
    "grad-cam 1.5.7: max(0, p - o), without / p."
    from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
    assert version('grad-cam') == '1.5.7'
    net, target = small(), [1, 0, 2, 1]
    theirs = DropInConfidence()(X, unit(MAPS).numpy(), [ClassifierOutputSoftmaxTarget(t) for t in target], net)
    p, o = M.masked(case(net, X, MAPS, target))
    check_tensor(torch.tensor(theirs).float(), (p - o).clamp(min=0), atol=1e-5)
    assert not torch.allclose(torch.tensor(theirs).float(), M.drop(p, o), atol=1e-3)

def test_pytorch_grad_cam_removes_everything_where_values_are_equal():
    "grad-cam 1.5.7: places below the percentile stay. With 70 % zeros the percentile is 0, and none is below it."
    from pytorch_grad_cam.metrics.road import ROADMostRelevantFirst
    seen = []
    class Watch(nn.Module):
        def forward(self, x): seen.append(x.clone()); return x.mean((2, 3))
    m = MAPS[:1].clone()
    m[m < .7] = 0
    ROADMostRelevantFirst(percentile=50)(X[:1], m.numpy(), [lambda out: out[0]], Watch())
    kept = [(x[0, 0] == X[0, 0]).float().mean().item() for x in seen]
    assert min(kept) < .02                                                            # 50 % should be left
    check_tensor(M.gone_at(P.order_of(m), .5).float().mean((1, 2)), [.5])
