"""torchvision's missing operators: defined once, and never over compiled ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hilum.models import backbones, networks, torchvision_compat

OUTLINED = ("tf_efficientnet_lite0", "resnet18", "vgg11")
MODELS = Path(torchvision_compat.__file__).parent


def test_operators_exist_and_a_second_repair_does_nothing() -> None:
    assert all(hasattr(torch.ops.torchvision, name) for name in torchvision_compat.OPERATORS)
    assert torchvision_compat.repair() is None


def test_a_fresh_python_imports_timm_and_transforms_and_an_outline_needs_no_compiler() -> None:
    code = (
        "import sys; from hilum.models import backbones, networks, torchvision_compat as t\n"
        "t.timm()\n"
        f"for name in {OUTLINED}: networks.outline(backbones.backbone_card(name))\n"
        "print('torch._dynamo' in sys.modules)\n"
        "import torchvision.transforms; print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "fine"], done.stderr


@pytest.mark.slow
def test_timm_leaves_torch_compile_unloaded_and_unharmed() -> None:
    code = (
        "import sys, torch; shield = torch.compiler.disable;"
        "from hilum.models import torchvision_compat; torchvision_compat.timm();"
        "print(any(name.startswith('torch._dynamo') for name in sys.modules));"
        "print(torch.compiler.disable is shield);"
        "from torchvision.ops import roi_align; asked = sys.modules[roi_align.__module__];"
        "import torch._dynamo.utils as u;"
        "print(asked.is_compile_supported('cpu') == u.is_compile_supported('cpu'));"
        "print(torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)).item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "2.0"], done.stderr


def test_nobody_imports_timm_past_the_shim() -> None:
    visited = 0
    for path in sorted(MODELS.glob("*.py")):
        visited += 1
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heavy = {name.split(".")[0] for name in names} & {"timm", "torchvision"}
            assert not heavy or path.name == "shim.py", path.name
    assert visited >= 15


def test_the_table_needs_no_torch() -> None:
    code = "import sys, hilum.models.cards; print('torch' in sys.modules, 'timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", OUTLINED)
def test_an_outline_has_the_shapes_of_the_network(name: str) -> None:
    row = backbones.backbone_card(name)
    drawn, made = (make(row).state_dict() for make in (networks.outline, networks.create))
    shapes = [{k: (t.shape, t.dtype) for k, t in one.items()} for one in (drawn, made)]
    assert shapes[0] == shapes[1]
    assert shapes[0]
