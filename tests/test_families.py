"""One small member of each family of timm, and of Hugging Face's classes, with random weights: each gives a map of
its last stage's grid."""
import math, warnings
import pytest, torch
from torch import nn

from camtutor.engine.layers import last_layer, map_layers
from camtutor.errors import CamError
from camtutor.explanation import explain
from camtutor.gradcam import grad_cam_maps

timm, hf = pytest.importorskip('timm'), pytest.importorskip('transformers')

TIMM = '''
    resnet10t densenet121 mobilenetv3_small_050 mobilenetv4_conv_small_035 tf_efficientnetv2_b0
    efficientnet_lite0 mnasnet_small convnext_atto lcnet_035 regnetx_002 repvgg_a0 resnest14d rexnet_100
    skresnet18 legacy_seresnet18 gcresnext26ts gernet_s ghostnet_050 repghostnet_050 hrnet_w18_small dla46_c
    dpn48b ese_vovnet19b_slim nf_resnet26 inception_next_atto starnet_s1 mobileone_s0 fasternet_t0
    mambaout_femto hgnet_tiny rdnet_tiny vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 flexivit_small
    eva02_tiny_patch14_224 cait_xxs24_224 coat_lite_tiny convit_tiny levit_128s mixer_s32_224 resmlp_12_224
    gmlp_ti16_224 pit_ti_224 poolformer_s12 pvt_v2_b0 visformer_tiny xcit_nano_12_p16_224 edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 mobilevit_xxs mobilevitv2_050 coatnet_pico_rw_224
    maxvit_rmlp_pico_rw_256 gcvit_xxtiny fastvit_t8 repvit_m0_9 tiny_vit_5m_224 efficientvit_b0
    efficientvit_m0 lambda_resnet26t halonet26t botnet26t_256 shvit_s1 swiftformer_xs'''.split()

def filled(net):
    "Heads that begin as zeros, as some do, have no gradient to give."
    for m in net.modules():
        if isinstance(m, nn.Linear) and not m.weight.any(): nn.init.normal_(m.weight, std=.02)
    return net.eval()

def grids(net, size):
    "The grids that timm itself names: of the patches, and of the last stage."
    patches = getattr(getattr(net, 'patch_embed', None), 'grid_size', None)
    return {tuple(patches or ()), tuple(math.ceil(s / net.feature_info[-1]['reduction']) for s in size)}

def input_size(net):
    "What a network asks for, but 128 pixels where any size will do; HaloNet cuts its stages into blocks of 8."
    cfg = net.pretrained_cfg
    asks = cfg.get('fixed_input_size') or cfg['architecture'].startswith('halonet')
    return cfg['input_size'] if asks else (3, 128, 128)

@pytest.mark.parametrize('name', TIMM)
def test_timm(name):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        net = filled(timm.create_model(name))
    x = torch.randn(1, *input_size(net))
    out, m = grad_cam_maps(net, x, None, 3)
    assert tuple(m.shape[1:]) in grids(net, x.shape[2:]) and m.isfinite().all()
    assert last_layer(net, x, 3) in map_layers(net, x)

def test_there_are_sixty_families(): assert len(TIMM) >= 60

# ---- Hugging Face
VIT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=64,
           patch_size=16)
DINO = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16)
STAGES = dict(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1])

def of_pixels(out): return out.logits[:, 1].mean((1, 2))

HF = [ # class, configuration, target, layer, grid for 64×64
    ('ViTForImageClassification', 'ViTConfig', VIT, 1, 'layernorm_before', (4, 4)),
    ('DeiTForImageClassification', 'DeiTConfig', VIT, 1, 'layernorm_before', (4, 4)),
    ('BeitForImageClassification', 'BeitConfig', VIT, 1, 'layers.1', (4, 4)),
    ('Dinov2ForImageClassification', 'Dinov2Config', DINO, 1, 'layernorm', (4, 4)),
    ('Dinov2WithRegistersForImageClassification', 'Dinov2WithRegistersConfig', DINO, 1, 'layernorm', (4, 4)),
    ('SwinForImageClassification', 'SwinConfig',
     dict(image_size=64, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[1, 2], window_size=4),
     1, 'layernorm', (8, 8)),
    ('ConvNextForImageClassification', 'ConvNextConfig', STAGES, 1, 'stages.3', (2, 2)),
    ('ResNetForImageClassification', 'ResNetConfig', STAGES | dict(embedding_size=8, layer_type='basic'),
     1, 'stages.3', (2, 2)),
    ('RegNetForImageClassification', 'RegNetConfig', STAGES | dict(embedding_size=8, groups_width=4),
     1, 'stages.3', (2, 2)),
    ('PoolFormerForImageClassification', 'PoolFormerConfig', STAGES, 1, 'norm', (2, 2)),
    ('MobileNetV2ForImageClassification', 'MobileNetV2Config', dict(depth_multiplier=.35), 1, 'conv_1x1', (2, 2)),
    ('SegformerForSemanticSegmentation', 'SegformerConfig',
     STAGES | dict(num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=32),
     of_pixels, 'stages.3', (2, 2)),
]

@pytest.mark.parametrize('made, config, arguments, target, layer, grid', HF, ids=[row[0] for row in HF])
def test_hugging_face(made, config, arguments, target, layer, grid):
    torch.manual_seed(0)
    net = getattr(hf, made)(getattr(hf, config)(**arguments)).eval()
    e = explain(net, torch.randn(2, 3, 64, 64), target=target)
    assert e.raw.shape == (2, *grid) and e.layer.endswith(layer)
    # the configuration's names; `.logits` understood without a word
    if target == 1: assert e.label[0].startswith('LABEL_1')

def test_words_through_a_hugging_face_class():
    torch.manual_seed(0)
    net = hf.BertForSequenceClassification(hf.BertConfig(vocab_size=99, **{k: VIT[k] for k in list(VIT)[:4]})).eval()
    ids = torch.randint(99, (2, 12))
    for given in (ids, dict(input_ids=ids, attention_mask=torch.ones_like(ids))):
        e = explain(net, given, target=1)
        assert e.raw.shape == e.map.shape == (2, 12) and e.raw.any()

def test_a_layer_behind_the_last_attention_is_answered():
    torch.manual_seed(0)
    net = hf.ViTForImageClassification(hf.ViTConfig(**VIT)).eval()
    with pytest.raises(CamError, match='only its class token is read'):
        explain(net, torch.randn(1, 3, 64, 64), layer='vit.layers.1', target=1)
