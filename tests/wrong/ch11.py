"Chapter 11: plausible wrong answers that are not in the bank."
import torch

from camtutor.exercises.ch11 import alike, astray, flips, margin, pasted, worst_group

# 11.1
def worst_of_classes(right, groups):
    return torch.stack([(right & (groups == g)).sum()/len(right) for g in groups.unique()]).min()
def worst_error(right, groups): return 1 - worst_group(right, groups)
def worst_as_number(right, groups): return worst_group(right, groups).item()
def worst_counts(right, groups): return torch.stack([right[groups == g].sum() for g in groups.unique()]).min()
def worst_all_numbers(right, groups):
    return torch.stack([right[groups == g].float().mean() for g in range(groups.max() + 1)]).min()
def worst_with_axis(right, groups): return worst_group(right, groups)[None]
def mean_of_groups(right, groups):
    return sum(right[groups == g].float().mean() for g in groups.unique())/len(groups.unique())
def worst_percent(right, groups): return 100*worst_group(right, groups)
def worst_two(right, groups):
    return torch.stack([right[groups == g].float().mean() for g in groups.unique()]).sort().values[:2].mean()

# 11.2
def margin_with_own(out, y): return out[range(len(y)), y] - out.amax(1)
def margin_mean(out, y):
    own = out[range(len(y)), y]
    return own - (out.sum(1) - own)/(out.shape[1] - 1)
def margin_turned(out, y): return -margin(out, y)
def margin_probability(out, y): return margin(out.softmax(1), y)
def margin_log(out, y): return margin(out.log_softmax(1), y).exp()
def margin_top(out, y):
    top = out.topk(2, 1).values
    return top[:, 0] - top[:, 1]
def margin_column(out, y): return margin(out, y)[:, None]
def margin_cut(out, y): return margin(out, y).clamp(min=0)

# 11.3
def verdict_means(more, effect, least=.1):
    points, matters = more[0] > 0, abs(effect[0]) > least
    return 'both' if points and matters else 'map alone' if points else 'effect alone' if matters else 'neither'
def verdict_upper(more, effect, least=.1):
    points, matters = more[1] > 0, effect[1] > least
    return 'both' if points and matters else 'map alone' if points else 'effect alone' if matters else 'neither'
def verdict_bools(more, effect, least=.1): return more[1] > 0, effect[1] > least or effect[2] < -least
def verdict_any(more, effect, least=.1):
    points, matters = more[1] > 0, effect[1]*effect[2] > 0
    return 'both' if points and matters else 'map alone' if points else 'effect alone' if matters else 'neither'

# 11.4
def pasted_own(images, animals, order): return pasted(images, animals, torch.arange(len(order)))
def pasted_with_ghost(images, animals, order): return torch.where(animals[..., None], images, images[order])
def pasted_black(images, animals, order):
    return torch.where(animals[..., None], images, (images*~animals[..., None])[order])
def pasted_float(images, animals, order): return pasted(images, animals, order).float()
def pasted_back(images, animals, order): return pasted(images, animals, order.argsort())
def pasted_in_place(images, animals, order):
    ground = images[order]
    images[~animals] = ground[~animals]
    return images

# 11.5
def astray_on(A, weight, own, y): return 1 - astray(A, weight, own, y)
def astray_mean(A, weight, own, y): return astray(A, weight, own, y).mean()
def astray_areas(A, weight, own, y):
    m = torch.einsum('nc,nchw->nhw', weight[y], A).relu()
    return ((1 - own)*m).mean((1, 2))
def astray_signed(A, weight, own, y):
    m = torch.einsum('nc,nchw->nhw', weight[y], A)
    return ((1 - own)*m).sum((1, 2))/m.sum((1, 2))
def astray_detached(A, weight, own, y):
    m = torch.einsum('nc,nchw->nhw', weight[y], A).relu()
    return (((1 - own)*m).sum((1, 2))/m.sum((1, 2)).clamp(min=1e-6)).detach()
def astray_nan(A, weight, own, y):
    m = torch.einsum('nc,nchw->nhw', weight[y], A).relu()
    return ((1 - own)*m).sum((1, 2))/m.sum((1, 2))

# 11.6
def alike_all(groups, n): return torch.arange(len(groups))
def alike_first(groups, n): return torch.arange(n)
def alike_mask(groups, n): return torch.isin(torch.arange(len(groups)), alike(groups, n))
def alike_by_group(groups, n): return torch.cat([(groups == g).nonzero()[:n, 0] for g in groups.unique()])
def alike_two_axes(groups, n): return torch.cat([(groups == g).nonzero()[:n] for g in groups.unique()])
def alike_list(groups, n): return alike(groups, n).tolist()

# 11.7
def flips_kept(before, after): return 1 - flips(before, after)
def flips_count(before, after): return (before.argmax(1) != after.argmax(1)).sum()
def flips_scores(before, after): return (before - after).abs().mean()
def flips_number(before, after): return flips(before, after).item()
def flips_axis(before, after): return (before.argmax(0) != after.argmax(0)).float().mean()
def flips_any_score(before, after): return (before != after).any(1).float().mean()

WRONG = {
    '11.1': [worst_of_classes, worst_error, worst_as_number, worst_counts, worst_all_numbers, worst_with_axis,
             mean_of_groups, worst_percent, worst_two],
    '11.2': [margin_with_own, margin_mean, margin_turned, margin_probability, margin_log, margin_top, margin_column,
             margin_cut],
    '11.3': [verdict_means, verdict_upper, verdict_bools, verdict_any],
    '11.4': [pasted_own, pasted_with_ghost, pasted_black, pasted_float, pasted_back, pasted_in_place],
    '11.5': [astray_on, astray_mean, astray_areas, astray_signed, astray_detached, astray_nan],
    '11.6': [alike_all, alike_first, alike_mask, alike_by_group, alike_two_axes, alike_list],
    '11.7': [flips_kept, flips_count, flips_scores, flips_number, flips_axis, flips_any_score],
    '11.8': [.9*.5, .05, 90, 1.]}
