//! The small arithmetic of layouts: what the parts of answers add up to.
//!
//! It is the same over what a definition writes and over what a plan reads. An unknown part makes the whole
//! unknown: there is no way to make a number of it.

use super::{count::Count, weight::Weight};

/// An expression over leaves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expression<L> {
    /// A part of an answer.
    Leaf(L),
    /// All of them.
    Sum(Box<[Self]>),
    /// The first less the second, and never below zero.
    Difference(Box<[Self; 2]>),
    /// The larger of the two.
    Max(Box<[Self; 2]>),
    /// The expression, or zero while the leaf, a flag, stands.
    Unless(L, Box<Self>),
    /// The expression so many times.
    Times(Weight, Box<Self>),
}

impl<L> Expression<L> {
    /// The expression in a trigger whose jobs have this weight.
    #[must_use]
    pub(super) fn times(self, weight: Weight) -> Self {
        if weight == Weight::ONE { self } else { Self::Times(weight, Box::new(self)) }
    }

    /// The same over other leaves. Leaves are visited in the order in which they are to be read.
    pub(super) fn map<M>(self, leaf: &mut impl FnMut(L) -> M) -> Expression<M> {
        match self {
            Self::Leaf(of) => Expression::Leaf(leaf(of)),
            Self::Sum(all) => Expression::Sum(all.into_iter().map(|one| one.map(leaf)).collect()),
            Self::Difference(both) => {
                Expression::Difference(Box::new(both.map(|one| one.map(leaf))))
            }
            Self::Max(both) => Expression::Max(Box::new(both.map(|one| one.map(leaf)))),
            Self::Unless(flag, of) => {
                let flag = leaf(flag);
                Expression::Unless(flag, Box::new(of.map(leaf)))
            }
            Self::Times(weight, of) => Expression::Times(weight, Box::new(of.map(leaf))),
        }
    }

    /// What it comes to.
    ///
    /// # Errors
    /// The first error of a leaf: nothing is known then, whatever the others say.
    pub fn evaluate<E>(&self, leaf: &impl Fn(&L) -> Result<Count, E>) -> Result<Count, E> {
        match self {
            Self::Leaf(of) => leaf(of),
            Self::Sum(all) => all.iter().map(|one| one.evaluate(leaf)).sum(),
            Self::Difference(both) => {
                let [whole, part] = both.as_ref();
                Ok(whole.evaluate(leaf)?.less(part.evaluate(leaf)?))
            }
            Self::Max(both) => {
                let [one, other] = both.as_ref();
                let (one, other) = (one.evaluate(leaf)?, other.evaluate(leaf)?);
                Ok(if one < other { other } else { one })
            }
            Self::Unless(flag, of) => {
                let (stands, count) = (leaf(flag)?, of.evaluate(leaf)?);
                Ok(if stands.is_positive() { Count::ZERO } else { count })
            }
            Self::Times(weight, of) => Ok(of.evaluate(leaf)?.times(*weight)),
        }
    }

    /// The arithmetic for people, with each leaf as `show` writes it.
    pub fn describe(&self, show: &impl Fn(&L) -> String) -> String {
        match self {
            Self::Leaf(of) => show(of),
            Self::Sum(all) => {
                all.iter().map(|one| one.describe(show)).collect::<Vec<_>>().join(" + ")
            }
            Self::Difference(both) => {
                let [whole, part] = both.as_ref();
                format!("[{} − {}]", whole.describe(show), part.describe(show))
            }
            Self::Max(both) => {
                let [one, other] = both.as_ref();
                format!("max[{}, {}]", one.describe(show), other.describe(show))
            }
            Self::Unless(flag, of) => {
                format!("[{}, 0 while {}]", of.describe(show), show(flag))
            }
            Self::Times(weight, of) => format!("{weight} × {}", of.describe(show)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tree = Expression<Option<u64>>;

    fn leaf(number: u64) -> Tree {
        Expression::Leaf(Some(number))
    }

    fn value(tree: &Tree) -> Result<f64, ()> {
        tree.evaluate(&|leaf| leaf.map(Count::from).ok_or(())).map(Count::get)
    }

    #[test]
    fn each_operation_is_what_its_name_says() {
        let difference = |one, other| Expression::Difference(Box::new([leaf(one), leaf(other)]));
        assert_eq!(value(&difference(10, 6)), Ok(4.0));
        assert_eq!(value(&difference(6, 10)), Ok(0.0));
        assert_eq!(value(&Expression::Max(Box::new([leaf(2), leaf(8)]))), Ok(8.0));
        assert_eq!(value(&Expression::Sum([leaf(2), leaf(8)].into())), Ok(10.0));
        assert_eq!(value(&Expression::Sum([].into())), Ok(0.0));
        let unless = |flag| Expression::Unless(Some(flag), Box::new(leaf(7)));
        assert_eq!((value(&unless(0)), value(&unless(1))), (Ok(7.0), Ok(0.0)));
        let third = Weight::new(2.5).unwrap();
        assert_eq!(value(&leaf(4).times(third)), Ok(10.0));
        assert_eq!(leaf(4).times(Weight::ONE), leaf(4));
    }

    #[test]
    fn one_unknown_leaf_makes_the_whole_unknown_wherever_it_stands() {
        let unknown = || Expression::Leaf(None);
        let trees = [
            Expression::Sum([leaf(1), unknown()].into()),
            Expression::Difference(Box::new([leaf(1), unknown()])),
            Expression::Max(Box::new([unknown(), leaf(1)])),
            Expression::Unless(None, Box::new(leaf(1))),
            // A pause hides no answer that cannot be read.
            Expression::Unless(Some(1), Box::new(unknown())),
            Expression::Times(Weight::new(3.0).unwrap(), Box::new(unknown())),
        ];
        for tree in trees {
            assert_eq!(value(&tree), Err(()), "{tree:?}");
        }
    }
}
