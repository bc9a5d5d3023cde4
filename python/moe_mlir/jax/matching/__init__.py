"""Finding MoE layers in StableHLO that nobody marked.

An MoE layer is recognised by what it computes and not by how it is written. From a
``top_k`` the matcher asks for one element of each later value, as a formula over index
variables: a sort, a gather or a scatter become substitutions of indices, a one-hot
product a substitution of the expert. The value whose element is

    sum over k of gate(token, k) * expert(x[token], ids(token, k))

is the layer's result. Every rule holds for all inputs; what no rule covers leaves the
layer as it is, and the report says what that was.

    terms      formulas, indices and substitution
    sums       sums over an index variable
    counts     which experts a count or a sort has counted
    elements   the element of a value, one StableHLO operation at a time
    arithmetic, movement, indexing   the rules
    router     a score and its normalisation
    choice     the score by which a top_k chooses
    experts    the two products of an expert and what is between them
    activation which activation a formula of two numbers is
    layer      the whole recipe
    uses       what else reads the choice
    inline     calls are inlined first
    rewrite    the layer becomes two marker calls
    raising    all layers of a module
"""
