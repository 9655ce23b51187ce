"""Specifications: one frozen object describes a unit or a layer; golden function and generator are built from it."""

from model.spec.adder_tree import AdderTreeSpec, SumNode
from model.spec.aggregated import AggregatedSumSpec, Form
from model.spec.datapath import Datapath
from model.spec.fixed import FixedSpec, Format, Ints, NarrowSpec, Overflow, Rounding
from model.spec.folding import Folding, LayerSchedule, LstmSchedule, ReluSchedule, Schedule
from model.spec.images import MemoryImage, memory_images
from model.spec.integer_dot import IntegerDotSpec
from model.spec.loading import LOAD_WIDTH, load_chunks, load_stream
from model.spec.lstm import GATES, LstmSpec
from model.spec.mlb import MAX_LEVELS, MlbQuantizerSpec, MlbSpec, Quantity, ReconstructSpec, Weight, binarized
from model.spec.network import MAX_LAYERS, DenseSpec, LayerSpec, NetworkSpec, Pool, Weights, of_layer
from model.spec.nonuniform import EnqSpec, KnqSpec, LayersSpec
from model.spec.nonuniform_file import LayersFileError
from model.spec.nonuniform_unit import LayersQuantizerSpec, LayersReconstructSpec, RoundTripSpec
from model.spec.pointwise import (
    MacSpec,
    MultiplierSpec,
    ProductSpec,
    XnorMultiplierSpec,
    product_spec,
)
from model.spec.product import BitSumSpec, MlbAccumulatorSpec, MlbDotSpec, PopcountSpec, XnorDotSpec
from model.spec.pwl import PwlSpec
from model.spec.relu import ReluSpec
from model.spec.running_sum import RunningSumSpec, ScaledSumSpec
from model.spec.sign_matrix import SignMatrixSpec
from model.spec.step_size import MAX_BITS, StepSpec
from model.spec.sums import Order, ShiftNormSpec, SumSpec
from model.spec.table import TableSpec
from model.spec.threshold import ThresholdSpec

__all__ = [
    "GATES",
    "LOAD_WIDTH",
    "MAX_BITS",
    "MAX_LAYERS",
    "MAX_LEVELS",
    "AdderTreeSpec",
    "AggregatedSumSpec",
    "BitSumSpec",
    "Datapath",
    "DenseSpec",
    "EnqSpec",
    "FixedSpec",
    "Folding",
    "Form",
    "Format",
    "IntegerDotSpec",
    "Ints",
    "KnqSpec",
    "LayerSchedule",
    "LayerSpec",
    "LayersFileError",
    "LayersQuantizerSpec",
    "LayersReconstructSpec",
    "LayersSpec",
    "LstmSchedule",
    "LstmSpec",
    "MacSpec",
    "MemoryImage",
    "MlbAccumulatorSpec",
    "MlbDotSpec",
    "MlbQuantizerSpec",
    "MlbSpec",
    "MultiplierSpec",
    "NarrowSpec",
    "NetworkSpec",
    "Order",
    "Overflow",
    "Pool",
    "PopcountSpec",
    "ProductSpec",
    "PwlSpec",
    "Quantity",
    "ReconstructSpec",
    "ReluSchedule",
    "ReluSpec",
    "RoundTripSpec",
    "Rounding",
    "RunningSumSpec",
    "ScaledSumSpec",
    "Schedule",
    "ShiftNormSpec",
    "SignMatrixSpec",
    "StepSpec",
    "SumNode",
    "SumSpec",
    "TableSpec",
    "ThresholdSpec",
    "Weight",
    "Weights",
    "XnorDotSpec",
    "XnorMultiplierSpec",
    "binarized",
    "load_chunks",
    "load_stream",
    "memory_images",
    "of_layer",
    "product_spec",
]
