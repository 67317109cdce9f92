"""Writes a GGUF file with every layer of another one twice: for how the cost grows with depth.

usage: more_layers.py IN.gguf OUT.gguf
"""
import sys

import gguf

source, target = sys.argv[1:]
reader = gguf.GGUFReader(source)
fields = reader.fields
architecture = fields["general.architecture"].contents()
layers = fields[f"{architecture}.block_count"].contents()
writer = gguf.GGUFWriter(target, architecture)
for name, field in fields.items():
    if name.startswith("GGUF.") or name == "general.architecture":
        continue
    value = 2 * layers if name == f"{architecture}.block_count" else field.contents()
    if field.types[0] == gguf.GGUFValueType.ARRAY:
        writer.add_key_value(name, value, gguf.GGUFValueType.ARRAY, sub_type=field.types[1])
    else:
        writer.add_key_value(name, value, field.types[0])
for tensor in reader.tensors:
    names = [tensor.name]
    if tensor.name.startswith("blk."):
        _, number, rest = tensor.name.split(".", 2)
        names.append(f"blk.{int(number) + layers}.{rest}")
    for name in names:
        writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
