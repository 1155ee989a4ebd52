"Chapter 07: plausible wrong answers that are not in the bank."
import torch
from wrong_answers import Misleading

from camtutor.exercises.ch07 import (eigen_cam, elementwise_cam, finer_score, hires_cam, layer_cam, smooth_weights,
                                     xgrad_cam)

def weigh(w, A): return torch.einsum('nc,nchw->nhw', w, A)
def top(m): return m.amax((1, 2), keepdim=True)

# 7.1
def hires_never_cut(A, g, signed=False): return (g*A).sum(1)
def hires_over_batch(A, g, signed=False):
    m = (g*A).sum(0)
    return m if signed else m.relu()
def hires_abs(A, g, signed=False):
    m = (g*A).sum(1)
    return m if signed else m.abs()
def hires_no_sum(A, g, signed=False):
    m = g*A
    return m if signed else m.relu()
def hires_max(A, g, signed=False):
    m = (g*A).amax(1)
    return m if signed else m.relu()
def hires_scaled(A, g, signed=False):
    m = hires_cam(A, g, signed)
    return m/m.max()
def hires_in_place(A, g, signed=False):
    m = g.mul_(A).sum(1)
    return m if signed else m.relu()
def hires_positive_activations(A, g, signed=False):
    m = (g*A.relu()).sum(1)
    return m if signed else m.relu()
def hires_two_sums(A, g, signed=False):
    m = g.sum(1)*A.sum(1)
    return m if signed else m.relu()

# 7.2
def xgrad_clamp(A, g):
    w = (g*A).sum((2, 3))/A.sum((2, 3)).clamp(min=1e-12)
    return weigh(w, A).relu()
def xgrad_above(A, g):
    total = A.sum((2, 3))
    return weigh(torch.where(total > 0, (g*A).sum((2, 3))/total, 0), A).relu()
def xgrad_sizes(A, g):
    total = A.abs().sum((2, 3))
    return weigh((g*A).sum((2, 3))/total.where(total != 0, 1), A).relu()
def xgrad_mean(A, g):
    total = A.mean((2, 3))
    return weigh((g*A).sum((2, 3))/total.where(total != 0, 1), A).relu()
def xgrad_all_channels(A, g):
    total = A.sum((1, 2, 3))[:, None]
    return weigh((g*A).sum((2, 3))/total.where(total != 0, 1), A).relu()
def xgrad_largest(A, g):
    total = A.amax((2, 3))
    return weigh((g*A).sum((2, 3))/total.where(total != 0, 1), A).relu()
def xgrad_repaired(A, g): return weigh((g*A).sum((2, 3))/A.sum((2, 3)), A).relu().nan_to_num(0.)
def xgrad_if(A, g):
    total = A.sum((2, 3))
    if total == 0: total = 1
    return weigh((g*A).sum((2, 3))/total, A).relu()
def xgrad_places(A, g):
    total = A.sum((2, 3), keepdim=True)
    return (g*A/total.where(total != 0, 1)).sum(1).relu()
def xgrad_positive(A, g): return xgrad_cam(A, g.relu())

# 7.3
def cut_max(A, g): return (g*A).relu().amax(1)
def cut_no_sum(A, g): return (g*A).relu()
def cut_means(A, g): return (g.mean((2, 3), keepdim=True)*A).relu().sum(1)
def cut_activations(A, g): return (g*A.relu()).relu().sum(1)
def cut_gradient_kept(A, g): return torch.where(g*A > 0, g, 0.).sum(1)
def cut_counted(A, g): return (g*A > 0).sum(1).float()
def cut_all(A, g): return (g*A).relu().sum()
def cut_to_one(A, g): return elementwise_cam(A, g)/top(elementwise_cam(A, g))

# 7.4
def layer_both(A, g): return (g.relu()*A.relu()).sum(1)
def layer_other(A, g): return (g*A.relu()).sum(1).relu()
def layer_abs(A, g): return (g.abs()*A).sum(1).relu()
def layer_mask(A, g): return ((g > 0)*A).sum(1).relu()
def layer_two_sums(A, g): return (g.relu().sum(1)*A.sum(1)).relu()
def layer_mean(A, g): return (g.relu()*A).mean(1).relu()
def layer_gradient(A, g): return g.relu().sum(1)
def layer_below(A, g): return (g.clamp(max=0)*A).sum(1).relu()

# 7.5
def fuse_lifted_first(maps):
    maps = [*(torch.tanh(2*m) for m in maps[:-1]), maps[-1]]
    return torch.stack([m/top(m) for m in maps]).amax(0)
def fuse_first_is_deep(maps):
    deep, *shallow = [m/top(m) for m in maps]
    return torch.stack([*(torch.tanh(2*m) for m in shallow), deep]).amax(0)
def fuse_none_lifted(maps): return torch.stack([m/top(m) for m in maps]).amax(0)
def fuse_min_max(maps):
    *shallow, deep = [(m - m.amin((1, 2), True))/(m - m.amin((1, 2), True)).amax((1, 2), True) for m in maps]
    return torch.stack([*(torch.tanh(2*m) for m in shallow), deep]).amax(0)
def fuse_tuple(maps):
    *shallow, deep = [m/top(m) for m in maps]
    return torch.stack([*(torch.tanh(2*m) for m in shallow), deep]).max(0)
def fuse_cat(maps):
    *shallow, deep = [m/top(m) for m in maps]
    return torch.cat([*(torch.tanh(2*m) for m in shallow), deep]).amax(0)
def fuse_pop(maps):
    deep = maps.pop()
    return torch.stack([*(torch.tanh(2*m/top(m)) for m in maps), deep/top(deep)]).amax(0)
def fuse_sum(maps):
    *shallow, deep = [m/top(m) for m in maps]
    return torch.stack([*(torch.tanh(2*m) for m in shallow), deep]).sum(0)
def fuse_without_deep(maps): return torch.stack([torch.tanh(2*m/top(m)) for m in maps[:-1]]).amax(0)
def fuse_places(maps):
    *shallow, deep = [m/top(m) for m in maps]
    return torch.stack([*(torch.tanh(2*m) for m in shallow), deep]).amax((2, 3))

# 7.6
def pp_alpha_alone(A, g):
    alpha = 1/(2 + g.relu()*A.sum((2, 3), keepdim=True))
    return weigh(alpha.sum((2, 3)), A).relu()
def pp_nan(A, g):
    up = g.relu()
    alpha = up**2/(2*up**2 + up**3*A.sum((2, 3), keepdim=True))
    return weigh((alpha*up).sum((2, 3)), A).relu()
def pp_all_channels(A, g):
    up = g.relu()
    return weigh((up/(2 + up*A.sum((1, 2, 3), keepdim=True))).sum((2, 3)), A).relu()
def pp_places(A, g):
    up = g.relu()
    return (up/(2 + up*A.sum((2, 3), keepdim=True))*A).sum(1).relu()
def pp_no_brackets(A, g):
    up = g.relu()
    return weigh(((1/2 + up*A.sum((2, 3), keepdim=True))*up).sum((2, 3)), A).relu()
def pp_upside_down(A, g):
    up = g.relu()
    return weigh(((2 + up*A.sum((2, 3), keepdim=True))*up).sum((2, 3)), A).relu()
def pp_shares(A, g):
    up = g.relu()
    alpha = 1/(2 + up*A.sum((2, 3), keepdim=True))
    return weigh((alpha/alpha.sum((2, 3), keepdim=True)*up).sum((2, 3)), A).relu()
def pp_no_keepdim(A, g):
    up = g.relu()
    return weigh((up/(2 + up*A.sum((2, 3)))).sum((2, 3)), A).relu()
def pp_no_alpha(A, g): return weigh(g.relu().sum((2, 3)), A).relu()
def pp_no_two(A, g):
    up = g.relu()
    return weigh((up/(up*A.sum((2, 3), keepdim=True)).clamp(min=1e-8)).sum((2, 3)), A).relu()

# 7.7
def signed(m, A): return m*torch.where((m*A.sum(1)).sum((1, 2)) < 0, -1., 1.)[:, None, None]
def first(X): return torch.linalg.svd(X, full_matrices=False)[2][:, 0]
def eigen_reshaped(A):
    X = A.reshape(len(A), -1, A.shape[1])
    return signed((X @ first(X)[..., None]).view(len(A), *A.shape[2:]), A).relu()
def eigen_column(A):
    v = torch.linalg.svd(A.flatten(2).mT, full_matrices=False)[2][..., 0]
    return signed(weigh(v, A), A).relu()
def eigen_last(A):
    v = torch.linalg.svd(A.flatten(2).mT, full_matrices=False)[2][:, -1]
    return signed(weigh(v, A), A).relu()
def eigen_whole_batch(A):
    v = torch.linalg.svd(A.movedim(1, -1).flatten(0, 2), full_matrices=False)[2][0]
    return signed(torch.einsum('c,nchw->nhw', v, A), A).relu()
def eigen_one_sign(A):
    m = weigh(first(A.flatten(2).mT), A)
    return (m if (m*A.sum(1)).sum() > 0 else -m).relu()
def eigen_turned_down(A):
    m = signed(weigh(first(A.flatten(2).mT), A), A)
    return (-m).relu()
def eigen_no_svd(A): return A.sum(1).relu()
def eigen_flat(A): return eigen_cam(A).flatten(1)
def eigen_vector(A): return first(A.flatten(2).mT)
def eigen_positive(A):
    v = first(A.flatten(2).mT)
    return weigh(v.abs(), A).relu()
def eigen_standard(A):
    X = A.flatten(2).mT
    X = (X - X.mean(1, keepdim=True))/(X.std(1, keepdim=True) + 1e-6)
    return signed((X @ first(X)[..., None]).view(len(A), *A.shape[2:]), A).relu()
def eigen_by_mean(A):
    m = weigh(first(A.flatten(2).mT), A)
    return (m*torch.where(m.mean((1, 2)) < 0, -1., 1.)[:, None, None]).relu()

# 7.8
def nearest(out, k, n):
    far = (out - out[:, k:k+1]).abs()
    far[:, k] = float('inf')
    return far, far.topk(n, largest=False).indices
def finer_farthest(out, k, n=3, gamma=.6):
    far = (out - out[:, k:k+1]).abs()
    return out[:, k] - gamma*out.gather(1, far.topk(n).indices).mean(1)
def finer_distances(out, k, n=3, gamma=.6):
    far, near = nearest(out, k, n)
    return out[:, k] - gamma*far.gather(1, near).mean(1)
def finer_all(out, k, n=3, gamma=.6):
    others = torch.cat([out[:, :k], out[:, k+1:]], 1)
    return out[:, k] - gamma*others.mean(1)
def finer_both_weighed(out, k, n=3, gamma=.6):
    return gamma*(out[:, k] - out.gather(1, nearest(out, k, n)[1]).mean(1))
def finer_row(out, k, n=3, gamma=.6): return finer_score(out, k, n, gamma)[0]
def finer_writes(out, k, n=3, gamma=.6):
    own = out[:, k].clone()
    out[:, k] = float('inf')
    near = (out - own[:, None]).abs().topk(n, largest=False).indices
    return own - gamma*out.gather(1, near).mean(1)
def finer_first_picture(out, k, n=3, gamma=.6):
    return out[:, k] - gamma*out[:, nearest(out, k, n)[1][0]].mean(1)
def finer_items(out, k, n=3, gamma=.6):
    def score(row): return row[k] - gamma*sum(sorted(row, key=lambda s: abs(s - row[k]))[1:n+1])/n
    return torch.tensor([score(row) for row in out.tolist()])
def finer_mixed(out, k, n=3, gamma=.6):
    return (1 - gamma)*out[:, k] - gamma*out.gather(1, nearest(out, k, n)[1]).mean(1)
def finer_fixed(out, k, n=3, gamma=.6): return finer_score(out, k)

# 7.9
def means(grads): return grads.mean(0), (grads**2).mean(0), (grads**3).mean(0)
def smooth_mean_of_weights(A, grads):
    total = A.sum((2, 3), keepdim=True)
    return torch.stack([(g.relu()/(2 + total*g.relu())).sum((2, 3)) for g in grads]).mean(0)
def smooth_cut_first(A, grads): return smooth_weights(A, grads.relu())
def smooth_no_relu(A, grads):
    d1, d2, d3 = means(grads)
    below = 2*d2 + A.sum((2, 3), keepdim=True)*d3.relu()
    return (d2/below.where(d2 > 0, 1)*d1).sum((2, 3))
def smooth_d3_uncut(A, grads):
    d1, d2, d3 = means(grads)
    below = 2*d2 + A.sum((2, 3), keepdim=True)*d3
    return (d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3))
def smooth_no_two(A, grads):
    d1, d2, d3 = means(grads)
    below = d2 + A.sum((2, 3), keepdim=True)*d3.relu()
    return (d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3))
def smooth_place_means(A, grads):
    d1, d2, d3 = means(grads)
    below = 2*d2 + A.sum((2, 3), keepdim=True)*d3.relu()
    return (d2/below.where(d2 > 0, 1)*d1.relu()).mean((2, 3))
def smooth_sums(A, grads):
    d1, d2, d3 = grads.sum(0), (grads**2).sum(0), (grads**3).sum(0)
    below = 2*d2 + A.sum((2, 3), keepdim=True)*d3.relu()
    return (d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3))
def smooth_map(A, grads): return weigh(smooth_weights(A, grads), A).relu()
def smooth_places(A, grads):
    d1, d2, d3 = means(grads)
    below = 2*d2 + A*d3.relu()
    return (d2/below.where(d2 > 0, 1)*d1.relu()).sum((2, 3))
def smooth_epsilon(A, grads):
    d1, d2, d3 = means(grads)
    return (d2/(2*d2 + A.sum((2, 3), keepdim=True)*d3.relu() + 1e-7)*d1.relu()).sum((2, 3))

# 7.10
def unit(m): return m/top(m).where(top(m) > 0, 1)
def refine_smallest(maps, geometric=False):
    m = torch.stack([unit(m) for m in maps]).amin(0)
    return unit(m**(1/len(maps)) if geometric else m)
def refine_brackets(maps, geometric=False):
    m = torch.stack([unit(m) for m in maps]).prod(0)
    return unit(m**1/len(maps) if geometric else m)
def refine_always(maps, geometric=False):
    return unit(torch.stack([unit(m) for m in maps]).prod(0)**(1/len(maps)))
def refine_two(maps, geometric=False): return unit((maps[0]*maps[-1])**(.5 if geometric else 1))
def refine_batch(maps, geometric=False):
    m = torch.stack([m/m.max() for m in maps]).prod(0)
    m = m**(1/len(maps)) if geometric else m
    return m/m.max()
def refine_min_max(maps, geometric=False):
    def stretched(m):
        m = m - m.amin((1, 2), keepdim=True)
        return unit(m)
    m = torch.stack([stretched(m) for m in maps]).prod(0)
    return stretched(m**(1/len(maps)) if geometric else m)
def refine_power(maps, geometric=False):
    m = torch.stack([unit(m) for m in maps]).prod(0)
    return unit(m**len(maps) if geometric else m)
def refine_writes(maps, geometric=False):
    for m in maps: m /= top(m).clamp(min=1e-30)
    m = torch.stack(maps).prod(0)
    return unit(m**(1/len(maps)) if geometric else m)

# 7.11
def norm_no_eps(m): return (m.bias - m.running_mean*m.weight/m.running_var.sqrt()).detach()
def norm_eps_outside(m): return (m.bias - m.running_mean*m.weight/(m.running_var.sqrt() + m.eps)).detach()
def norm_graph(m): return m.bias - m.running_mean*m.weight/(m.running_var + m.eps).sqrt()
def norm_factor(m): return (m.weight/(m.running_var + m.eps).sqrt()).detach()
def norm_shape(m): return m(torch.zeros(1, m.num_features, 1, 1)).detach()
def norm_trains(m): return m.train()(torch.zeros(2, m.num_features, 1, 1))[0, :, 0, 0].detach()
def norm_twice(m): return (m.weight*(m.bias - m.running_mean/(m.running_var + m.eps).sqrt())).detach()
def norm_mean(m): return (m.bias - m.running_mean).detach()
def norm_no_root_weight(m): return (m.bias - m.running_mean*m.weight).detach()

# Written after the bank had been extended with what stands above

def hires_loop_first(A, g, signed=False):
    m = torch.stack([(g[0]*a).sum(0) for a in A])
    return m if signed else m.relu()
def hires_negative(A, g, signed=False):
    m = (g*A).sum(1)
    return m if signed else m.clamp(max=0)
def hires_keeps_axis(A, g, signed=False):
    m = (g*A).sum(1, keepdim=True)
    return m if signed else m.relu()
def hires_parts(A, g, signed=False):
    m = (g*A).sum(1)
    return (m.relu(), (-m).relu()) if signed else m.relu()
def xgrad_grad_cam(A, g): return weigh(g.mean((2, 3)), A).relu()
def xgrad_softmax(A, g): return weigh((g*A.flatten(2).softmax(2).view_as(A)).sum((2, 3)), A).relu()
def xgrad_nan_mean(A, g): return weigh((g*A).mean((2, 3))/A.mean((2, 3)), A).relu()
def xgrad_uncut(A, g): return weigh(((g*A).sum((2, 3))/A.sum((2, 3))).nan_to_num(0.), A)
def xgrad_cut_weights(A, g): return weigh(((g*A).sum((2, 3))/A.sum((2, 3))).nan_to_num(0.).relu(), A)
def cut_twice_mean(A, g): return (g*A).clamp(min=0).mean((1, 2, 3))
def cut_one(A, g): return (g*A).clamp(0, 1).sum(1)
def cut_last_axis(A, g): return (g*A).relu().sum(-1)
def layer_absolute(A, g): return (g.relu()*A).sum(1).abs()
def layer_normalised(A, g):
    m = layer_cam(A, g)
    return m/m.amax((1, 2), keepdim=True)
def layer_tanh(A, g): return torch.tanh(2*layer_cam(A, g))
def layer_squared(A, g): return (g.relu()*g*A).sum(1).relu()
def fuse_product(maps): return torch.stack([m/top(m) for m in maps]).prod(0)
def fuse_all_lifted(maps): return torch.stack([torch.tanh(2*m/m.max()) for m in maps]).amax(0)
def fuse_three(maps):
    a, b, c = [m/top(m) for m in maps]
    return torch.stack([torch.tanh(2*a), torch.tanh(2*b), c]).amax(0)
def fuse_list(maps): return [torch.tanh(2*m/top(m)) for m in maps[:-1]] + [maps[-1]/top(maps[-1])]
def pp_mean_alpha(A, g):
    up = g.relu()
    return weigh((up/(2 + up*A.mean((2, 3), keepdim=True))).mean((2, 3)), A).relu()
def pp_pooled(A, g):
    up = g.mean((2, 3)).relu()
    return weigh(up/(2 + up*A.sum((2, 3))), A)
def pp_squared(A, g):
    up = g.relu()
    return weigh((up**2/(2 + up*A.sum((2, 3), keepdim=True))).sum((2, 3)), A)
def pp_exponential(A, g):
    up = g.relu().exp()
    return weigh((up/(2 + up*A.sum((2, 3), keepdim=True))).sum((2, 3)), A)
def eigen_values(A): return torch.linalg.svd(A.flatten(2).mT, full_matrices=False)[1]
def eigen_image_svd(A):
    u, s, v = torch.linalg.svd(A.sum(1), full_matrices=False)
    return (s[:, :1, None]*u[:, :, :1]*v[:, :1]).relu()
def eigen_reversed(A): return -eigen_cam(A)
def eigen_both(A):
    m = weigh(first(A.flatten(2).mT), A)
    return torch.maximum(m.relu(), (-m).relu())
def finer_itself(out, k, n=3, gamma=.6):
    near = (out - out[:, k:k+1]).abs().argsort(1)[:, :n]
    return out[:, k] - gamma*out.gather(1, near).mean(1)
def finer_indices(out, k, n=3, gamma=.6):
    near = nearest(out, k, n)[1]
    return out[:, k] - gamma*near.float().mean(1)
def finer_batch_row(out, k, n=3, gamma=.6): return out[k] - gamma*out[k].mean()
def finer_each(out, k, n=3, gamma=.6):
    return (out[:, k:k+1] - gamma*out.gather(1, nearest(out, k, n)[1])).mean(0)
def smooth_one(A, grads): return smooth_weights(A, grads[:1])
def smooth_grad(A, grads): return grads.mean((0, 3, 4))
def smooth_absolute(A, grads): return smooth_weights(A, grads.abs())
def smooth_flat(A, grads):
    d1, d2, d3 = means(grads)
    below = 2*d2 + A.sum((2, 3), keepdim=True)*d3.relu()
    return (d2/below.where(d2 > 0, 1)*d1.relu()).sum(1)
def refine_unscaled(maps, geometric=False): return torch.stack(list(maps)).prod(0)
def refine_log(maps, geometric=False):
    m = torch.stack([unit(m) for m in maps]).log().mean(0)
    return unit(m.exp()) if geometric else unit(m)
def refine_mean_root(maps, geometric=False):
    m = torch.stack([unit(m)**(1/len(maps)) for m in maps]).mean(0)
    return unit(m if geometric else m**len(maps))
def norm_reversed(m): return (m.running_mean*m.weight/(m.running_var + m.eps).sqrt() - m.bias).detach()
def norm_zeros(m): return torch.zeros(m.num_features)
def norm_of_one(m): return m(torch.ones(1, m.num_features, 1, 1))[0, :, 0, 0].detach()

# A third set, written after the bank had been extended again

def hires_normed_gradient(A, g, signed=False): return hires_cam(A, g/g.abs().amax(), signed)
def hires_first_cut(A, g, signed=False): return (g*A).sum(1) if signed else (g.relu()*A).sum(1)
def xgrad_over_gradient(A, g): return weigh((g*A).sum((2, 3))/g.sum((2, 3)), A).relu()
def cut_other_side(A, g): return (-g*A).relu().sum(1)
def layer_gradient_map(A, g): return (g*A).relu().mean(1)
def fuse_last_lifted(maps):
    *shallow, deep = [m/top(m) for m in maps]
    return torch.stack([*shallow, torch.tanh(2*deep)]).amax(0)
def pp_with_cube(A, g):
    up = g.relu()
    return weigh((up/(2 + up**3*A.sum((2, 3), keepdim=True))).sum((2, 3)), A)
def eigen_transposed(A):
    m = torch.linalg.svd(A.flatten(2).mT, full_matrices=False)[0][:, 0]
    return m.relu()
def finer_above(out, k, n=3, gamma=.6): return out[:, k] - gamma*out.topk(n).values.mean(1)
def smooth_batch(A, grads): return smooth_weights(A, grads.transpose(0, 1))
def refine_last_unit(maps, geometric=False):
    m = torch.stack(maps).prod(0)
    return (m**(1/len(maps)) if geometric else m).clamp(0, 1)
def norm_mean_zero(m): return (m.bias + m.running_mean*m.weight/(m.running_var + m.eps).sqrt()).detach()

THIRD = {
    '7.1': [hires_normed_gradient, hires_first_cut], '7.2': [xgrad_over_gradient], '7.3': [cut_other_side],
    '7.4': [layer_gradient_map], '7.5': [fuse_last_lifted], '7.6': [pp_with_cube], '7.7': [eigen_transposed],
    '7.8': [finer_above], '7.9': [smooth_batch], '7.10': [refine_last_unit], '7.11': [norm_mean_zero],
    '7.12': [1.5, .75],
}
FRESH = {
    '7.1': [hires_loop_first, hires_negative, hires_keeps_axis, hires_parts],
    '7.2': [xgrad_grad_cam, xgrad_softmax, xgrad_nan_mean, xgrad_uncut, xgrad_cut_weights],
    '7.3': [cut_twice_mean, cut_one, cut_last_axis],
    '7.4': [layer_absolute, layer_normalised, layer_tanh, layer_squared],
    '7.5': [fuse_product, fuse_all_lifted, fuse_three,
            Misleading(fuse_list, 'A stack alone does not help: the largest over the layers is missing.')],
    '7.6': [pp_mean_alpha, pp_pooled, pp_squared, pp_exponential],
    '7.7': [eigen_values, eigen_image_svd, eigen_reversed, eigen_both],
    '7.8': [finer_itself, finer_indices, finer_batch_row, finer_each],
    '7.9': [smooth_one, smooth_grad, smooth_absolute, smooth_flat],
    '7.10': [refine_unscaled, refine_log, refine_mean_root],
    '7.11': [norm_reversed, norm_zeros, norm_of_one],
    '7.12': [.2, 2, -2/3.5],
}

WRONG = {
    '7.1': [hires_never_cut, hires_over_batch, hires_abs, hires_no_sum, hires_max, hires_scaled, hires_in_place,
            hires_positive_activations, hires_two_sums],
    '7.2': [xgrad_clamp, xgrad_above, xgrad_sizes, xgrad_mean, xgrad_all_channels, xgrad_largest, xgrad_repaired,
            xgrad_if, xgrad_places, xgrad_positive],
    '7.3': [cut_max, cut_no_sum, cut_means, cut_activations, cut_gradient_kept, cut_counted, cut_all, cut_to_one],
    '7.4': [layer_both, layer_other, layer_abs, layer_mask, layer_two_sums, layer_mean, layer_gradient, layer_below],
    '7.5': [fuse_lifted_first, fuse_first_is_deep, fuse_none_lifted, fuse_min_max, fuse_tuple, fuse_cat, fuse_pop,
            fuse_sum, fuse_without_deep, fuse_places],
    '7.6': [pp_alpha_alone, pp_nan, pp_all_channels, pp_places, pp_no_brackets, pp_upside_down, pp_shares,
            pp_no_keepdim, pp_no_alpha, pp_no_two],
    '7.7': [eigen_reshaped, eigen_column, eigen_last, eigen_whole_batch, eigen_one_sign, eigen_turned_down,
            eigen_no_svd, eigen_flat, eigen_vector, eigen_positive, eigen_standard, eigen_by_mean],
    '7.8': [finer_farthest, finer_distances, finer_all, finer_both_weighed, finer_row, finer_writes,
            finer_first_picture, finer_items, finer_mixed, finer_fixed],
    '7.9': [smooth_mean_of_weights, smooth_cut_first, smooth_no_relu, smooth_d3_uncut, smooth_no_two,
            smooth_place_means, smooth_sums, smooth_map, smooth_places, smooth_epsilon],
    '7.10': [refine_smallest, refine_brackets, refine_always, refine_two, refine_batch, refine_min_max, refine_power,
             refine_writes],
    '7.11': [norm_no_eps, norm_eps_outside, norm_graph, norm_factor, norm_shape, norm_trains, norm_twice, norm_mean,
             norm_no_root_weight],
    '7.12': [1/3.5, 2/(2 + .5*.75), 4/3.5, 2/5, 6/3.5],
}
for more in (FRESH, THIRD):
    for number, answers in more.items(): WRONG[number] += answers
