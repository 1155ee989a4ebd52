"""The one table of methods: a new method is one function and one row."""
from typing import Callable, NamedTuple

import torch
from torch import Tensor

from camtutor.cam import cam_maps
from camtutor.deconvnet import deconvnet
from camtutor.engine.forward import first_output, run, without_graph
from camtutor.engine.inputs import network
from camtutor.engine.layers import last_layer, look
from camtutor.engine.trace import main_input
from camtutor.errors import CamError, describe, nearest
from camtutor.family import (eigen_cam, eigen_grad_cam, elementwise_cam, full_grad, fused_layer_cam, grad_cam_pp,
                             hires_cam, integrated_grad_cam, layer_cam, le_grad, refine_cam, shapley_cam,
                             smooth_grad_cam_pp, xgrad_cam)
from camtutor.gradcam import grad_cam
from camtutor.guided import guided_backprop, guided_grad_cam, saliency
from camtutor.lcam import lcam_fm, lcam_img
from camtutor.perturbation import ablation_cam, ada_sise, group_cam, occlusion, rise, score_cam, sidu, sise

class Method(NamedTuple):
    "One way to explain a score."
    fn:Callable # see `needs`
    kind:str    # what comes out: 'map' (N,*places), or 'pixels' (N,3,H,W)
    title:str   # as people write it
    year:int
    paper:str
    passes:int  # forward passes of one picture that it costs; where picture and layer decide: about so many
    # 'gradients': fn(A, g). 'activations': fn(A). 'layer': fn(model, x, layer, target).
    # 'network': fn(model, x, target=target), no layer
    needs:str
    rough:dict={} # passes -> arguments of a quicker run, whose map can be shown until the whole one is there

FORMULAS = 'gradients', 'activations'   # what a method of these needs comes from one pass, for all of them

def by_formula(row:Method, A:Tensor, g:Tensor)->Tensor:
    "What a formula gives for activations and gradients."
    return row.fn(A) if row.needs == 'activations' else row.fn(A, g)

METHODS = dict(
    cam=Method(cam_maps, 'map', 'CAM', 2016,
               'Zhou et al., Learning Deep Features for Discriminative Localization', 1, 'network'),
    grad_cam=Method(grad_cam, 'map', 'Grad-CAM', 2017,
                    'Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks', 1, 'gradients'),
    hires_cam=Method(hires_cam, 'map', 'HiResCAM', 2020,
                     'Draelos and Carin, Use HiResCAM Instead of Grad-CAM', 1, 'gradients'),
    xgrad_cam=Method(xgrad_cam, 'map', 'XGrad-CAM', 2020, 'Fu et al., Axiom-based Grad-CAM', 1, 'gradients'),
    grad_cam_pp=Method(grad_cam_pp, 'map', 'Grad-CAM++', 2018,
                       'Chattopadhyay et al., Grad-CAM++: Improved Visual Explanations', 1, 'gradients'),
    layer_cam=Method(layer_cam, 'map', 'LayerCAM', 2021,
                     'Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps', 1, 'gradients'),
    elementwise_cam=Method(elementwise_cam, 'map', 'Element-wise Grad-CAM', 2021,
                           'Pillai and Pirsiavash, Explainable Models with Consistent Interpretations', 1, 'gradients'),
    eigen_grad_cam=Method(eigen_grad_cam, 'map', 'Eigen-Grad-CAM', 2021, 'Gildenblat, pytorch-grad-cam', 1,
                          'gradients'),
    eigen_cam=Method(eigen_cam, 'map', 'Eigen-CAM', 2020,
                     'Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components', 1,
                     'activations'),
    shapley_cam=Method(shapley_cam, 'map', 'Shapley-CAM', 2025,
                       'Cai, CAMs as Shapley Value-based Explainers', 1, 'layer'),
    smooth_grad_cam_pp=Method(smooth_grad_cam_pp, 'map', 'Smooth Grad-CAM++', 2019,
                              'Omeiza et al., Smooth Grad-CAM++', 5, 'layer'),
    integrated_grad_cam=Method(integrated_grad_cam, 'map', 'Integrated Grad-CAM', 2021,
                               'Sattarzadeh et al., Integrated Grad-CAM', 8, 'layer'),
    fused_layer_cam=Method(fused_layer_cam, 'map', 'LayerCAM, fused', 2021,
                           'Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps', 1, 'network'),
    refine_cam=Method(refine_cam, 'map', 'RefineCAM', 2026,
                      'Domeniconi et al., How to Evaluate and Refine your CAM', 1, 'network'),
    full_grad=Method(full_grad, 'map', 'FullGrad', 2019,
                     'Srinivas and Fleuret, Full-Gradient Representation for Neural Network Visualization', 1,
                     'network'),
    le_grad=Method(le_grad, 'map', 'LeGrad', 2024,
                   'Bousselham et al., LeGrad: An Explainability Method for Vision Transformers', 1, 'network'),
    saliency=Method(saliency, 'pixels', 'Saliency', 2013,
                    'Simonyan et al., Deep Inside Convolutional Networks', 1, 'network'),
    deconvnet=Method(deconvnet, 'pixels', 'Deconvnet', 2013,
                     'Zeiler and Fergus, Visualizing and Understanding Convolutional Networks', 1, 'network'),
    guided_backprop=Method(guided_backprop, 'pixels', 'Guided backprop', 2014,
                           'Springenberg et al., Striving for Simplicity', 1, 'network'),
    guided_grad_cam=Method(guided_grad_cam, 'pixels', 'Guided Grad-CAM', 2017,
                           'Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks', 2, 'layer'),
    occlusion=Method(occlusion, 'map', 'Occlusion', 2014,
                     'Zeiler and Fergus, Visualizing and Understanding Convolutional Networks', 170, 'network'),
    ablation_cam=Method(ablation_cam, 'map', 'Ablation-CAM', 2020,
                        'Desai and Ramaswamy, Ablation-CAM: Visual Explanations via Gradient-free Localization', 1,
                        'layer'),
    score_cam=Method(score_cam, 'map', 'Score-CAM', 2020,
                     'Wang et al., Score-CAM: Score-Weighted Visual Explanations', 129, 'layer'),
    rise=Method(rise, 'map', 'RISE', 2018, 'Petsiuk et al., RISE: Randomized Input Sampling for Explanation', 501,
                'network', {61: dict(n=60), 201: dict(n=200)}),
    sidu=Method(sidu, 'map', 'SIDU', 2020,
                'Muddamsetty et al., SIDU: Similarity Difference and Uniqueness Method for Explainable AI', 129,
                'layer'),
    sise=Method(sise, 'map', 'SISE', 2021,
                'Sattarzadeh et al., Explaining CNNs through Attribution-Based Input Sampling and Block-Wise Feature '
                'Aggregation', 75, 'network'),
    ada_sise=Method(ada_sise, 'map', 'Ada-SISE', 2021,
                    'Sudhakar et al., Ada-SISE: Adaptive Semantic Input Sampling', 30, 'network'),
    group_cam=Method(group_cam, 'map', 'Group-CAM', 2021,
                     'Zhang et al., Group-CAM: Group Score-Weighted Visual Explanations', 30, 'layer'),
    lcam_fm=Method(lcam_fm, 'map', 'L-CAM-Fm', 2022,
                   'Gkartzonika et al., Learning Visual Explanations for DCNN-Based Image Classifiers Using an '
                   'Attention Mechanism', 1, 'network'),
    lcam_img=Method(lcam_img, 'map', 'L-CAM-Img', 2022,
                    'Gkartzonika et al., Learning Visual Explanations for DCNN-Based Image Classifiers Using an '
                    'Attention Mechanism', 1, 'network'),
)

def method_name(name)->str:
    "The key of a method, by its key or its title. `CamError` if there is none."
    if isinstance(name, str) and name in METHODS: return name
    if isinstance(name, (list, tuple)):
        raise CamError(f"the method is {describe(name)}. Give one; camtutor.compare takes several.")
    found = next((key for key, row in METHODS.items() if row.title == name), None)
    if found: return found
    raise CamError(f"there is no method {name!r}. {nearest(name, METHODS)}")

class Result(NamedTuple):
    "What a method gave for N images."
    out:object  # what the network gave
    raw:Tensor  # the method's own result: maps (N,*places), or pixels (N,3,H,W)
    layer:object # the name of the layer that was looked at; None if the method looks at none

def apply(
    row:Method,  # of `METHODS`
    model,       # a network, or a fastai Learner
    x,           # a batch it takes
    layer=None,  # a name or a module; None = the default layer
    target=None, # see `class_score`
    layout=None, # a function from a layer's output to maps, for a network that no rule fits
    **how,       # further arguments of a method that is no formula
)->Result:
    "Run one method. `CamError` for a layer where it looks at none, and for bad input."
    if row.needs in FORMULAS:
        kept, chunks = look(model, x, layer, target, layout)
        raw = [by_formula(row, A, g) for [(A, g)] in chunks]
        return Result(kept.out, raw[0] if len(raw) == 1 else torch.cat(raw), kept.names[0])
    if row.needs == 'network' and layer is not None:
        raise CamError("it explains the network as a whole and looks at no layer. Leave layer away, or use 'grad_cam'.")
    if row.needs == 'layer' and layer is None: layer = last_layer(model, x, target)
    where = {} if layer is None else {'layer': layer}
    net = network(model)
    with first_output(net, len(main_input(x))) as noted:
        raw = row.fn(model, x, target=target, **where, **how)
        if noted.out is None:   # a method that never asks the network
            with without_graph(net): run(net, x)
    main = main_input(x)   # of many passes the sums are made in single precision
    return Result(noted.out, raw.to(main.dtype) if main.is_floating_point() else raw, layer)
