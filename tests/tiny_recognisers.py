"""Speech recognisers of a few thousand random weights, saved as the hub's are, to test with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

LETTERS = "|ETAONIHSRDLUMWCFGYPBVK'XJQZ"


def save_ctc(folder: Path, seed: int = 0, *, words: bool = True) -> Path:
    """A Wav2Vec2 with a CTC head, or, without ``words``, as it comes out of pretraining."""
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Model,
    )

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3}
    vocabulary |= {letter: 4 + place for place, letter in enumerate(LETTERS)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    model: Any = (Wav2Vec2ForCTC if words else Wav2Vec2Model)(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lm_head" in name:
                weight.mul_(50.0)  # else one letter wins throughout
    model.save_pretrained(folder)
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16000).save_pretrained(folder)
    return folder


def save_whisper(folder: Path, tokenizer_file: Path) -> Path:
    """An English Whisper that writes one word after the other, with a real tokenizer."""
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    end = 50256
    config = WhisperConfig(
        vocab_size=51864,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_target_positions=12,
        decoder_start_token_id=50257,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    torch.manual_seed(0)
    model: Any = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=50257,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_length=10,
        no_timestamps_token_id=50362,
        is_multilingual=False,
    )
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    named = {"tokenizer_class": "WhisperTokenizer", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named), encoding="utf-8")
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder
